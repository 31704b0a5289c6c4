"""A stand-in for STS that can be wrong in several ways."""

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

ARN = "arn:aws:sts::123456789012:assumed-role/batch/i-1"
_ANSWER = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult>"
    f"<Arn>{ARN}</Arn><UserId>AROA:i-1</UserId><Account>123456789012</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@dataclass(slots=True)
class STS:
    """What it says; change it while it runs."""

    url: str
    ahead: float = 0.0  # seconds that its clock is ahead
    error: str = ""  # code
    delay: float = 0.0  # seconds before the answer
    asked: int = 0


@contextlib.contextmanager
def sts() -> Iterator[STS]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.asked += 1
            time.sleep(state.delay)
            error = f"<ErrorResponse><Error><Code>{state.error}</Code><Message>no</Message></Error></ErrorResponse>"
            content = (error if state.error else _ANSWER).encode()
            with contextlib.suppress(OSError):
                self.send_response(403 if state.error else 200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + state.ahead, usegmt=True)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state = STS(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()
