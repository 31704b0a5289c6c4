"""A TCP forwarder whose far end can be changed: what DNS does at a failover."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass
class Forwarder:
    """Accepts at `port`; each new connection goes to `to`, once `before` has returned."""

    port: int
    to: tuple[str, int]
    accepted: int = 0
    before: Callable[[], None] = lambda: None


@contextlib.contextmanager
def forwarder(to: tuple[str, int], *, at: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Forwarder]:
    """Runs until the context ends."""
    family = socket.AF_INET6 if ":" in at[0] else socket.AF_INET
    with socket.create_server(at, family=family) as listener:
        running = Forwarder(listener.getsockname()[1], to)
        thread = threading.Thread(target=_accept, args=(listener, running), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _accept(listener: socket.socket, running: Forwarder) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        running.accepted += 1
        try:
            far = socket.create_connection(running.to, timeout=10)
        except OSError:
            near.close()
            continue
        threading.Thread(target=_relay, args=(near, far, running.before), daemon=True).start()


def _relay(near: socket.socket, far: socket.socket, before: Callable[[], None]) -> None:
    with near, far:
        before()
        backward = threading.Thread(target=_pump, args=(far, near), daemon=True)
        backward.start()
        _pump(near, far)
        backward.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    source.settimeout(None)
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
