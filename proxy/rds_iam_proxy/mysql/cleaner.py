"""What makes a used MySQL session as good as a new one, and what proves it: `dialect.Cleaner`.

No statement of a client is looked at. COM_RESET_CONNECTION undoes nearly all that a client can leave behind; what a
session says of itself after it must be, byte for byte, what one of its kind said right after its login.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from string import ascii_letters, digits

from mysql_wire.cleaning import NONCE_DIGITS, Answers, OutOfStep, batch, first_value, init_db, query
from mysql_wire.constants import Command
from mysql_wire.handshake import ServerIdentity

from ..dialect import Taker
from ..net.stream import Stream
from ..rds.pool import Unfit
from .kind import Kind
from .rds_login import UpstreamSession

CLEAN_SECONDS = 1.0
"""For all answers of a session, unless its client still takes what it is owed."""

TAKE_SECONDS = 60.0
"""For a client that has quit to take the next of the bytes that it is owed: MySQL's net_write_timeout."""

MAX_UNREAD_BYTES = 1 << 20
"""What a client that has gone has left unread may be so long: beyond that a new login is cheaper."""

MAX_REFERENCES = 256
"""Kinds of sessions of which is remembered what a new one says."""

_READ_BYTES = 16 * 1024

_NAME = frozenset(ascii_letters + digits + "_")
_LETTERS = (_NAME, _NAME, frozenset(digits), _NAME | {","})
"""Of what each value that a login sets may consist, to stand in a statement."""

_FROM_LOGIN = "@@character_set_client, @@collation_connection, @@wait_timeout, @@sql_mode"
"""What a login sets and a reset may lose: the first values, as `_restoring` has them."""

_FINGERPRINT = (
    "IFNULL(@@init_connect, ''), IFNULL(@@character_set_results, '-'), IFNULL(DATABASE(), '-'), CURRENT_USER(),"
    " @@autocommit, @@time_zone, @@sql_select_limit, @@foreign_key_checks, @@sql_log_bin, @@read_only,"
    " @@innodb_read_only"
)

_ROLE = "IFNULL(CURRENT_ROLE(), '-')"

_SHOW_GRANTS = b"SHOW GRANTS"
"""Today's, also those that a session that is open does not follow; 1141 where the user is gone."""

_COM_RESET_CONNECTION = bytes((Command.COM_RESET_CONNECTION,))
_FORGET_PROFILES = (b"SET profiling = 1, profiling_history_size = 0", b"SET profiling = 0")
"""MariaDB keeps the texts of profiled statements through a reset, and goes on with that. It forgets them only while it
profiles; the reset then sets back what these set."""


@dataclass(slots=True)
class _Reference:
    """What a new session of one kind says of itself."""

    results: bytes
    values: list[str]
    restoring: bytes | None = None
    """The statement that sets again what its login had set and a reset loses. None: not known yet."""


class Cleaner:
    """One per target and endpoint."""

    def __init__(self) -> None:
        self._references: OrderedDict[Hashable, _Reference | None] = OrderedDict()  # None: it is not to be had

    async def learn(self, rds: UpstreamSession, kind: Kind) -> None:
        """What a session says right after its login. Once for each kind and server, but each time where a reset does
        not show what has changed since. Raises Unfit, OSError: it is of no use, then, even for its first client.
        """
        where = (rds.server, kind)
        known = self._references.get(where)
        if where in self._references and not (known is not None and known.restoring):
            return
        answers = Answers(rds.capabilities, result_count=2)
        try:
            await self._ask(rds, [fingerprint(rds), query(_SHOW_GRANTS, rds.capabilities)], answers, None)
        except OutOfStep as exc:
            self._remember(where, None)
            raise Unfit("no reference") from exc
        except TimeoutError as exc:
            raise Unfit("slow") from exc
        values = _values(answers.results, rds)
        self._remember(where, _Reference(answers.results, values) if _can_be_restored(values) else None)

    async def clean(self, rds: UpstreamSession, kind: Kind, client: Taker | None = None) -> None:
        """Make it as good as new, or raise Unfit, OSError. What RDS still answered `client` is handed to it."""
        where = (rds.server, kind)
        reference = self._references.get(where)
        try:
            if reference is None:
                await self._round(rds, kind, b"", client)  # what it is owed
                raise Unfit("no reference")
            self._references.move_to_end(where)
            restored = reference.restoring
            results = await self._round(rds, kind, restored or b"", client)
            if restored is None:  # another of its kind may have found out meanwhile
                reference.restoring = _restoring(reference.values, _values(results, rds))
                if reference.restoring:
                    results = await self._round(rds, kind, reference.restoring, None)
        except OutOfStep as exc:
            raise Unfit("out of step") from exc
        except TimeoutError as exc:
            raise Unfit("slow") from exc
        if results != reference.results:
            if self._references.get(where) is reference:
                del self._references[where]  # the next new one tells what is right today
            raise Unfit("differs")
        if rds.unfit:
            raise Unfit(rds.unfit)

    async def _round(self, rds: UpstreamSession, kind: Kind, restoring: bytes, client: Taker | None) -> bytes:
        """Find the end of the client's answers, reset, restore, ask."""
        nonce, capabilities = secrets.token_hex(NONCE_DIGITS // 2).encode(), rds.capabilities
        undo = [query(text, capabilities) for text in _FORGET_PROFILES] if rds.identity.is_mariadb else []
        undo.append(_COM_RESET_CONNECTION)
        if restoring:
            undo.append(query(restoring, capabilities))
        if kind.database is not None:
            undo.append(init_db(kind.database))
        answers = Answers(capabilities, nonce=nonce, oks=len(undo), result_count=2)
        asking = [fingerprint(rds), query(_SHOW_GRANTS, capabilities)]
        await self._ask(rds, [init_db(nonce), *undo, *asking], answers, client)
        return answers.results

    async def _ask(self, rds: UpstreamSession, commands: list[bytes], answers: Answers, client: Taker | None) -> None:
        """All in one write, but for Aurora 2, which hangs where anything follows COM_RESET_CONNECTION at once. Raises
        OutOfStep, TimeoutError, OSError.
        """
        one_by_one = _is_5_7(rds.identity)
        writes = [[command] for command in commands] if one_by_one else [commands]
        for number, write in enumerate(writes, start=1):
            async with asyncio.timeout(CLEAN_SECONDS):
                await rds.stream.write(batch(write))
            await _read(rds.stream, answers, number if one_by_one else len(commands), client)

    def _remember(self, where: Hashable, reference: _Reference | None) -> None:
        self._references[where] = reference
        if len(self._references) > MAX_REFERENCES:
            self._references.popitem(last=False)


async def _read(stream: Stream, answers: Answers, wanted: int, client: Taker | None) -> None:
    """Until so many commands are answered. Raises OutOfStep, TimeoutError, OSError."""
    buffer = memoryview(bytearray(_READ_BYTES))
    now = asyncio.get_running_loop().time
    deadline, untaken = now() + CLEAN_SECONDS, 0
    while answers.answered < wanted:
        try:
            count = await stream.read_some(buffer, deadline)
        except TimeoutError:
            if answers.answered or client is None or client.has_left:
                raise
            deadline = now() + CLEAN_SECONDS
            continue
        unread = answers.feed(buffer[:count])
        if not unread:
            continue
        if client is not None and await _take(client, unread):
            deadline = now() + CLEAN_SECONDS
        else:
            client, untaken = None, untaken + len(unread)
        if untaken > MAX_UNREAD_BYTES:
            raise OutOfStep(f"more than {MAX_UNREAD_BYTES} bytes were left unread")


async def _take(client: Taker, data: bytes) -> bool:
    """One that may still read has as much time for it as servers give."""
    try:
        async with asyncio.timeout(CLEAN_SECONDS if client.has_left else TAKE_SECONDS):
            return await client.take(data)
    except TimeoutError:
        return False


def fingerprint(rds: UpstreamSession) -> bytes:
    """The query for what a session is like. MySQL 5.7 has no roles."""
    values = [_FROM_LOGIN, _FINGERPRINT, *([] if _is_5_7(rds.identity) else [_ROLE])]
    return query(f"SELECT CONCAT_WS('|', {', '.join(values)}) AS r".encode(), rds.capabilities)


def _is_5_7(identity: ServerIdentity) -> bool:
    return identity.version.startswith(b"5.7.")


def _values(results: bytes, rds: UpstreamSession) -> list[str]:
    return (first_value(results, rds.capabilities) or b"").decode("utf-8", "replace").split("|")


def _can_be_restored(values: list[str]) -> bool:
    """The first values may stand in a statement, and no `init_connect` did more, which a reset undoes."""
    own = len(_LETTERS)
    return (
        len(values) > own
        and not values[own]
        and all(set(value) <= letters for value, letters in zip(values, _LETTERS, strict=False))
    )


def _restoring(learnt: list[str], now: list[str]) -> bytes:
    """The statement that sets what differs of the first values; empty: none does."""
    client, collation, wait_timeout, sql_mode = learnt[: len(_LETTERS)]
    settings = []
    if learnt[:2] != now[:2]:
        settings.append(f"NAMES {client} COLLATE {collation}")
    if learnt[2:3] != now[2:3]:
        settings.append(f"wait_timeout = {wait_timeout}")
    if learnt[3:4] != now[3:4]:
        settings.append(f"sql_mode = '{sql_mode}'")
    return f"SET {', '.join(settings)}".encode() if settings else b""
