"""How an embedded RDS is entered: one accepted connection after the other, and TLS with a CA made for it."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...net.accept import Acceptance
from ...net.make_certificate import make_ca, make_server_certificate
from ...net.stream import Stream

CA_DAYS = 365
SERVER_DAYS = 7


def make_tls(host: str, ca_file: Path) -> ssl.SSLContext:
    """The server's side for this name. `ca_file` is written, in a folder that is 0700: for those who connect."""
    ca = make_ca("rds-iam-proxy demo CA", days=CA_DAYS)
    server = make_server_certificate((host,), issuer=ca, days=SERVER_DAYS)
    ca_file.write_bytes(ca.certificate_pem)
    pair = ca_file.with_name("server.pem")  # the ssl module reads from files only
    pair.write_bytes(server.private_key_pem + server.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair)
    pair.unlink()
    return context


async def accept_all(listener: socket.socket, serve: Callable[[Stream, Any], None]) -> None:
    """Until it is cancelled; closes the listener then. `serve` gets each connection, and where it comes from."""
    acceptance = Acceptance()
    with listener:
        while True:
            sock, peer = await acceptance.accept(listener)
            serve(Stream(sock), peer)
