"""Makes the two sides' results comparable: what must differ is replaced, and nothing else."""

import re
from typing import Any

from conformance.ground import OTHER_USER, USER
from servers.accounts import IAM_USERS

_TIMES = frozenset({"cancelled after"})
_PATTERNS = (
    (re.compile(r"'@'127\.0\.0\.1'"), "'@'localhost'"),  # what a server calls this machine depends on its settings
    (re.compile(r"\b(\d+\.\d+|\d+) (s|sec|seconds?)\b"), "<seconds>"),
    (re.compile(r"\bpg_temp_\d+\b"), "pg_temp_<n>"),
    # libpq's words for an end, in clear and over TLS.
    (
        re.compile(
            r"server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n"
            r"\tbefore or while processing the request\.|SSL connection has been closed unexpectedly"
        ),
        "<closed>",
    ),
    (re.compile(rf"\b{IAM_USERS[0]}\b"), USER),
    (re.compile(rf"\b{IAM_USERS[1]}\b"), OTHER_USER),
)


def masked(value: Any, ports: tuple[int, ...]) -> Any:
    """`value` with users, ports and times replaced."""
    match value:
        case dict():
            return {key: masked(part, ports) for key, part in value.items() if key not in _TIMES}
        case list():
            return [masked(part, ports) for part in value]
        case str():
            return _masked_text(value, ports)
    return value


def _masked_text(text: str, ports: tuple[int, ...]) -> str:
    for port in ports:
        text = re.sub(rf"\b{port}\b", "<port>", text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
