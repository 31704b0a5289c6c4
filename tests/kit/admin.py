"""What the tests of the admin address stand on: an embedded RDS in a thread, a proxy in front, and questions to it."""

import asyncio
import contextlib
import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kit.running_proxy import PASSWORD, RunningProxy, start_proxy
from rds_iam_proxy.commands.demo.postgres.rds import EmbeddedPostgres
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS
from rds_iam_proxy.net.address import Address
from servers.settings import AccessKey

Embedded = TypeVar("Embedded", EmbeddedRDS, EmbeddedPostgres)

SECONDS = 15.0
"""For what should happen at once."""

HOSTILE = '<img src=x onerror="document.title=`owned`">\x1b[31m'
"""A name from a client that wants to be a tag, and a terminal's control sequence."""


@dataclass
class Admin:
    """The admin address of a running proxy."""

    port: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], str]:
        """The HTTP status, the headers, the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read().decode()

    def code(self, path: str, **more: Any) -> int:
        return self.ask(path, **more)[0]

    def json(self, path: str) -> Any:
        return json.loads(self.ask(path)[2])

    def health(self) -> tuple[int, int, int]:
        """The HTTP statuses of /startup, /readiness and /liveness."""
        return self.code("/startup"), self.code("/readiness"), self.code("/liveness")

    def end_session(self, number: int, **headers: str) -> int:
        with_token = {"Authorization": f"Bearer {self.token}", **headers}
        return self.code(f"/sessions/{number}/end", method="POST", headers=with_token)


def eventually(condition: Callable[[], Any], *, seconds: float = SECONDS) -> Any:
    """The first true value of the condition."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@contextlib.contextmanager
def running_rds(**options: Any) -> Iterator[EmbeddedRDS]:
    """An embedded RDS on a loop of its own."""
    with embedded(EmbeddedRDS, **options) as rds:
        yield rds


@contextlib.contextmanager
def embedded(kind: Callable[..., Embedded], **options: Any) -> Iterator[Embedded]:
    """One of the two embedded servers, on a loop of its own."""
    started: list[Embedded] = []
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def live() -> None:
        async with kind(**options) as rds:
            started.append(rds)
            ready.set()
            await stop.wait()

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(live())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(SECONDS)
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(SECONDS)


def target_text(name: str, rds: EmbeddedRDS | EmbeddedPostgres, *, dial: Address | None = None, more: str = "") -> str:
    """A target and the listener in front of it."""
    return f"""
[targets.{name}]
endpoint = "{rds.endpoint}"
dial = "{dial or rds.address}"
ca_file = "{rds.ca_file}"
{more}
[[listeners]]
bind = "127.0.0.1:0"
target = "{name}"
"""


def account_text(user: str, *, db_user: str = "demo_user") -> str:
    return f"""
[[accounts]]
user = {json.dumps(user)}
password_env = "LEGACY_APP_PASSWORD"
db_user = "{db_user}"
"""


@contextlib.contextmanager
def proxy_with_admin(
    rds: EmbeddedRDS, config: str, home: Path, *, admin: str = "", **options: Any
) -> Iterator[tuple[RunningProxy, Admin]]:
    """A proxy with an admin address on a free port; its state folder is below `home`."""
    text = f'{config}\n[admin]\nbind = "127.0.0.1:0"\n{admin}\n[log]\nformat = "json"\nlevel = "debug"\n'
    keys = rds.keys
    key = AccessKey(keys.access_key, keys.secret_key, keys.session_token)
    state = {"XDG_STATE_HOME": str(home / "state")}
    with start_proxy(text, key=key, home=home, environment=state, **options) as proxy:
        line = proxy.wait_for("admin")
        found = re.fullmatch(r"http://.*:(\d+)/", line["url"])
        assert found is not None
        yield proxy, Admin(int(found[1]), Path(line["token_file"]).read_text().strip())


__all__ = [
    "HOSTILE",
    "PASSWORD",
    "SECONDS",
    "Admin",
    "RunningProxy",
    "account_text",
    "embedded",
    "eventually",
    "proxy_with_admin",
    "running_rds",
    "target_text",
]
