"""Targets in mysql_wire: decoders, both logins, the command scanner, the cleaning round."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from fuzz.sized import Sized
from kit.work import Watched
from mysql_wire.capabilities import LOGIN_CAPABILITIES
from mysql_wire.cleaning import Answers, OutOfStep
from mysql_wire.client_login import ClientLogin, LoggedIn, SendToken, StartTLS
from mysql_wire.client_login import State as ClientState
from mysql_wire.commands import MAX_KILL_PAYLOAD, MAX_PACKETS, CommandScanner
from mysql_wire.constants import CACHING_SHA2_PASSWORD, Capability, MariaDBCapability, Status
from mysql_wire.errors import LocalProtocolError, MalformedPacket, RemoteProtocolError, UnexpectedPacket
from mysql_wire.handshake import ChangeUser, HandshakeResponse41, HandshakeV10, LoginRequest, ServerIdentity
from mysql_wire.kill_statement import connection_id
from mysql_wire.passwords import Verifier
from mysql_wire.reply import AuthMoreData, AuthSwitchRequest, ERRPacket, OKPacket, decode_login_reply
from mysql_wire.reply import without_redirect_url as redirect_url_left_out
from mysql_wire.server_login import Answered, ServerLogin
from mysql_wire.server_login import StartTLS as ClientHelloNext

MYSQL = ServerIdentity(b"9.7.4", Capability(0xDFFFFFFF), MariaDBCapability(0), 255, CACHING_SHA2_PASSWORD)
MARIADB = ServerIdentity(b"11.8.9-MariaDB", Capability(0x81FFFFFE), MariaDBCapability(0x3D), 45)
IDENTITIES = (MYSQL, MARIADB)
WHOLE = Verifier(native=b"n" * 20, sha2=b"s" * 32)  # digests of no password that anybody knows
ACCOUNTS = (WHOLE,), (Verifier(WHOLE.native, None),), (Verifier(None, WHOLE.sha2),), (WHOLE, WHOLE)
BEFORE = LoginRequest(b"app", b"shop", 45, 1 << 24, LOGIN_CAPABILITIES | Capability.CONNECT_ATTRS, MariaDBCapability(0))
TOKEN = b"host:3306/?Action=connect"
OK = OKPacket(Status.AUTOCOMMIT)
NO = ERRPacket(1045, "28000", b"Access denied")


# --- decoders ---

TRACKED = Capability.SESSION_TRACK
ROUND_TRIPS: Sequence[Callable[[bytes], bytes]] = (
    lambda data: HandshakeV10.decode(data).encode(),
    lambda data: OKPacket.decode(data, TRACKED).encode(TRACKED),
    lambda data: OKPacket.decode(data, Capability(0)).encode(Capability(0)),
    lambda data: ERRPacket.decode(data).encode(),
    lambda data: AuthSwitchRequest.decode(data).encode(),
    redirect_url_left_out,
)
DECODERS: Sequence[Callable[[bytes], object]] = (
    lambda data: HandshakeResponse41.decode(data, MYSQL),
    lambda data: HandshakeResponse41.decode(data, MARIADB),
    lambda data: HandshakeResponse41.decode(data, ServerIdentity(b"5", LOGIN_CAPABILITIES, MariaDBCapability(0), 8)),
    lambda data: ChangeUser.decode(data, BEFORE),
    AuthMoreData.decode,
    lambda data: decode_login_reply(data, TRACKED),
)


def decoders(data: bytes) -> None:
    """A message or MalformedPacket; what was understood once is written and understood again as the same."""
    with suppress(MalformedPacket):
        number, payload = data[0] if data else 0, data[1:]
        if number % 2:
            DECODERS[number // 2 % len(DECODERS)](payload)
            return
        again = ROUND_TRIPS[number // 2 % len(ROUND_TRIPS)]
        try:
            written = again(payload)
        except LocalProtocolError:
            return  # a nonce that we would not send
        assert again(written) == written


# --- logins ---


def server_login(data: bytes) -> None:
    """Nobody gets in who does not know a password."""
    choices = Sized(data)
    flags = choices.byte()
    login = ServerLogin(
        IDENTITIES[flags & 1],
        1,
        lambda _: ACCOUNTS[flags >> 1 & 3],
        nonce=lambda: b"n" * 20,
        tls=bool(flags & 8),
        tls_required=bool(flags & 16),
    )
    with suppress(RemoteProtocolError):
        if flags & 32:
            login.change_user(choices.block(), BEFORE, b"l" * 20)
        else:
            login.greeting()
        for payload in choices.blocks():
            event = login.receive(payload)
            if isinstance(event, ClientHelloNext):
                login.tls_established()
            if isinstance(event, Answered):
                assert login.request is not None
                assert not login.verify()
    try:
        login.success(OK)
    except LocalProtocolError:
        login.failure(NO)
    else:
        raise AssertionError("let in without a password")


def client_login(data: bytes) -> None:
    """The token goes out once, over TLS, and when it was asked for; nobody is in before."""
    login = ClientLogin("db_user", BEFORE)
    tls = sent = False
    with suppress(RemoteProtocolError):
        for payload in Sized(data).blocks():
            event = login.receive(payload)
            if isinstance(event, StartTLS):
                assert not tls
                login.tls_established()
                tls = True
            elif isinstance(event, SendToken):
                assert tls
                assert not sent
                login.token(TOKEN)
                sent = True
            elif isinstance(event, LoggedIn):
                assert sent
    assert sent or login.state is not ClientState.LOGGED_IN
    if login.state is not ClientState.TOKEN_WANTED:
        with suppress(LocalProtocolError):
            login.token(TOKEN)
            raise AssertionError("a token that nobody asked for")


BYTEWISE = 600
"""So many bytes come one by one where a stream is tried so, the rest at once."""


# --- commands ---

SCANNED = (Capability(0), Capability.LOCAL_FILES, Capability.QUERY_ATTRIBUTES, Capability(0xFFFFFFFF))


def commands(data: bytes) -> None:
    """Whole, byte by byte and in parts: the same bytes for RDS, the same commands; each turn's work is bounded."""
    choices = Sized(data)
    flags, tail = choices.byte(), choices.block()
    cuts = [int.from_bytes(choices.take(2), "little") for _ in range(choices.byte() % 8)]
    stream = choices.rest()
    whole = _scanned(flags, tail, stream, [])
    assert whole == _scanned(flags, tail, stream, range(min(len(stream), BYTEWISE)))
    assert whole == _scanned(flags, tail, stream, cuts)


def _scanned(flags: int, tail: bytes, stream: bytes, cuts: Iterable[int]) -> object:
    scanner = CommandScanner(
        SCANNED[flags & 3],
        lambda connection_id: 4711 if connection_id & 1 else None,
        allow_replication=bool(flags & 4),
        keep_quit=bool(flags & 8),
    )
    scanner.answered(memoryview(tail))
    out = bytearray()
    start = 0
    for end in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        if scanner.change_user is not None or scanner.kept_quit:
            break
        part, start = memoryview(stream)[start:end], end
        try:
            out += scanner.feed(part)
            assert scanner.commands <= len(stream)
            while scanner.has_more:
                before = scanner.commands
                out += scanner.more()
                assert scanner.commands - before <= MAX_PACKETS
        except RemoteProtocolError as exc:
            return type(exc)
    if scanner.change_user is not None and start < len(stream):
        return UnexpectedPacket
    behind = scanner.behind_quit + len(stream) - start
    seen = (scanner.commands, scanner.last_command, scanner.refused, scanner.pinned_by, scanner.kept_quit, behind)
    return bytes(out), seen, scanner.change_user, scanner.at_boundary, scanner.flush()


def kill_statement(data: bytes) -> None:
    """Each byte of a statement is looked at a few times, whatever it says."""
    text = Watched(data[:MAX_KILL_PAYLOAD])
    found = connection_id(text)
    assert text.looked_at <= 20 * len(text) + 20
    assert found is None or text[found].isdigit()


# --- the cleaning round ---

NONCE = b"0123456789abcdef" * 2


def cleaning(data: bytes) -> None:
    """Complete only behind an ERR that names the nonce, and the same whole, byte by byte and in parts."""
    choices = Sized(data)
    flags = choices.byte()
    cuts = [int.from_bytes(choices.take(2), "little") for _ in range(choices.byte() % 8)]
    stream = choices.rest().replace(b"$NONCE$", NONCE)
    whole = _answers(flags, stream, [])
    assert whole == _answers(flags, stream, range(min(len(stream), BYTEWISE)))
    assert whole == _answers(flags, stream, cuts)
    if whole is not None:
        assert NONCE in stream
        assert stream.endswith(whole)


def _answers(flags: int, stream: bytes, cuts: Iterable[int]) -> bytes | None:
    """The results' bytes; None: out of step, or not all there."""
    capabilities = Capability.DEPRECATE_EOF if flags & 1 else Capability(0)
    answers = Answers(capabilities, nonce=NONCE, oks=flags >> 1 & 3, result_count=flags >> 3 & 3)
    start = 0
    try:
        for end in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
            answers.feed(stream[start:end])
            start = end
    except OutOfStep:
        return None
    return answers.results if answers.is_complete else None


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (decoders, server_login, client_login, commands, kill_statement, cleaning)
}
