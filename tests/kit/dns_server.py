"""A DNS server on loopback with names of the tests' own, as a laptop's or a VPC's resolver answers."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

RECORD_LIFE = 300  # seconds; long, so that whoever keeps answers is found out


@dataclass(slots=True)
class DNSServer:
    """`names`: an IP address or another name for each. Change it while it runs."""

    address: str
    port: int
    names: dict[str, str] = field(default_factory=dict)
    one_link: bool = False  # answers with the first CNAME only, as a server that does not recurse
    silent: bool = False
    unanswered: set[str] = field(default_factory=set)  # names about which it is silent
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def dns_server(address: str = "127.0.0.1", port: int = 0) -> Iterator[DNSServer]:
    """Runs until the context ends. Over UDP only."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, port))
        running = DNSServer(address, sock.getsockname()[1])
        thread = threading.Thread(target=_serve, args=(sock, running), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", (running.address, running.port))
            thread.join(5)


def _serve(sock: socket.socket, server: DNSServer) -> None:
    while True:
        packet, client = sock.recvfrom(4096)
        if not packet:
            return
        query = dns.message.from_wire(packet)
        if not server.silent and query.question[0].name.to_text(omit_final_dot=True).lower() not in server.unanswered:
            sock.sendto(_answer(query, server).to_wire(), client)


def _answer(query: dns.message.Message, server: DNSServer) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    server.asked.append(f"{name} {dns.rdatatype.to_text(question.rdtype)}")
    known = False
    while name in server.names:
        known = True
        value = server.names[name]
        is_address = value.replace(".", "").isdigit() or ":" in value
        kind = ("AAAA" if ":" in value else "A") if is_address else "CNAME"
        text = value if is_address else f"{value}."
        if kind == "CNAME" or kind == dns.rdatatype.to_text(question.rdtype):
            response.answer.append(dns.rrset.from_text(f"{name}.", RECORD_LIFE, "IN", kind, text))
        if is_address or server.one_link:
            return response
        name, known = value.lower(), False
    if not known:
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response
