"""Asks the admin address of a running proxy. Blocks; for the commands `status` and `wait`."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from ..net.address import Address

ANSWER_SECONDS = 5.0
RETRY_SECONDS = 0.2
_EVERY_ADDRESS = ("0.0.0.0", "::")
"""To connect to these is to connect to oneself."""
MAX_ANSWER = 16 * 1024 * 1024


class NoAnswer(Exception):
    """Nobody answers there, or not as a proxy would. The text says what to do."""

    @property
    def shown(self) -> str:
        """For a terminal: whoever answers may send anything."""
        return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(self))


def status(address: Address, token: str | None = None, find: str = "") -> dict[str, Any]:
    """What /status says, with the sessions in which `find` stands. Raises NoAnswer."""
    if token is not None and not (address.is_loopback or address.host in _EVERY_ADDRESS):
        raise NoAnswer(
            f"{address} is not this machine, and the token would cross the network in plain text; ask there, or through"
            " a port that ssh forwards (ssh -L)"
        )
    path = f"/status?{urlencode({'find': find})}" if find else "/status"
    code, answer = _get(address, path, {} if token is None else {"Authorization": f"Bearer {token}"})
    if code == 401:
        raise NoAnswer(f"{address} shows its status only with its token; give --admin-token-file FILE")
    if code != 200 or "targets" not in answer:
        raise NoAnswer(f"{address} is not the admin address of rds-iam-proxy (HTTP status {code}); check --admin")
    return answer


def wait_until_ready(
    address: Address,
    seconds: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when /readiness says so. Raises NoAnswer, with what it said last, after so many seconds."""
    deadline = now() + seconds
    while True:
        try:
            code, answer = _get(address, "/readiness")
            if code == 200 and answer.get("status") == "ready":
                return
            why = "; ".join(map(str, answer.get("why", ()))) or f"HTTP status {code}"
        except NoAnswer as exc:
            why = str(exc)
        if not now() + RETRY_SECONDS <= deadline:  # so that `nan` is no time, either
            raise NoAnswer(f"not ready after {seconds:g} s: {why}")
        sleep(RETRY_SECONDS)


def _get(address: Address, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> tuple[int, dict[str, Any]]:
    try:
        with closing(http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_SECONDS)) as connection:
            connection.request("GET", path, headers=dict(headers))
            response = connection.getresponse()
            answer = json.loads(response.read(MAX_ANSWER))
    except (OSError, http.client.HTTPException) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
        raise NoAnswer(
            f"nobody answers at {address} ({reason}); check that the proxy runs, with --admin {address}"
        ) from exc
    except ValueError:
        answer = None
    return response.status, answer if isinstance(answer, dict) else {}
