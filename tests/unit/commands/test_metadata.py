"""`check` and the metadata service: a stand-in on loopback answers as an instance's does."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rds_iam_proxy.commands.check import metadata
from rds_iam_proxy.commands.check.metadata import metadata_service


@contextmanager
def service(*, token: int | None = 200, role: int = 200) -> Iterator[dict[str, str]]:
    """`token`: the status of a request for one; None: that is never answered, as beyond the hop limit."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_PUT(self) -> None:
            if token is None:
                time.sleep(0.5)
                return
            self.answer(token, b"TOKEN")

        def do_GET(self) -> None:
            known = self.headers.get("X-aws-ec2-metadata-token") == "TOKEN"
            self.answer(role if known else 401, b"my-role\n")

        def answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("token", "role", "outcome"),
    [
        (200, 200, "has role my-role"),
        (200, 404, "no role is attached to the instance"),
        (200, 500, "names no role (HTTP status 500)"),
        (403, 200, "gives no token (HTTP status 403)"),
    ],
)
def test_what_it_gives(token: int, role: int, outcome: str) -> None:
    with service(token=token, role=role) as environ:
        assert str(metadata_service(environ)) == f"metadata service: {outcome}"


def test_hop_limit_is_told_from_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "ANSWER_SECONDS", 0.2)
    with service(token=None) as environ:
        assert "the hop limit must be 2" in metadata_service(environ).outcome


def test_nobody_there_and_not_asked() -> None:
    nobody = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}
    assert metadata_service(nobody).outcome == "does not answer (Connection refused)"
    assert "add 169.254.169.254 to NO_PROXY" in metadata_service({**nobody, "HTTP_PROXY": "http://x"}).outcome
    assert metadata_service({"AWS_EC2_METADATA_DISABLED": "true"}).outcome.startswith("not asked")
    assert metadata_service({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://[x"}).outcome.endswith("is no URL")
