"""Messages of PostgreSQL's start of a session: round trips, every truncation, trailing bytes, limits."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pg_wire.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
    decode_authentication,
)
from pg_wire.constants import TransactionStatus
from pg_wire.errors import LocalProtocolError, MalformedMessage, UnsupportedFeature
from pg_wire.fields import PayloadReader, int32, string
from pg_wire.messages import (
    BackendKeyData,
    CancelRequest,
    ErrorResponse,
    GSSENCRequest,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    Report,
    SSLRequest,
    StartupMessage,
    decode_first_packet,
)

STARTUP = StartupMessage(0, {b"user": b"legacy", b"database": b"shop", b"options": b"", b"DateStyle": b"ISO, DMY"})
REPORT = Report("FATAL", "28000", b'PAM authentication failed for user "x"', b"detail", b"hint")

FIRST_PACKETS = (
    SSLRequest(),
    GSSENCRequest(),
    CancelRequest(4711, b"k" * 4),
    CancelRequest(0xFFFFFFFF, b"k" * 256),
    STARTUP,
    StartupMessage(2, {b"user": b"legacy", b"_pq_.x": b"1"}),
)

MESSAGES: tuple[tuple[bytes, object, Callable[[bytes], object]], ...] = (
    (b"v", NegotiateProtocolVersion(2, (b"_pq_.x", b"_pq_.y")), NegotiateProtocolVersion.decode),
    (b"v", NegotiateProtocolVersion(0, ()), NegotiateProtocolVersion.decode),
    (b"R", AuthenticationOk(), decode_authentication),
    (b"R", AuthenticationCleartextPassword(), decode_authentication),
    (b"R", AuthenticationSASL((b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256")), decode_authentication),
    (b"p", PasswordMessage(b"secret"), PasswordMessage.decode),
    (b"p", SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=abc"), SASLInitialResponse.decode),
    (b"p", SASLInitialResponse(b"SCRAM-SHA-256", None), SASLInitialResponse.decode),
    (b"S", ParameterStatus(b"client_encoding", b"UTF8"), ParameterStatus.decode),
    (b"K", BackendKeyData(4711, b"abcd"), BackendKeyData.decode),
    (b"Z", ReadyForQuery(TransactionStatus.FAILED_TRANSACTION), ReadyForQuery.decode),
    (b"E", ErrorResponse(REPORT), ErrorResponse.decode),
    (b"N", NoticeResponse(REPORT), NoticeResponse.decode),
)
"""Those of which no truncation is another whole message."""


@pytest.mark.parametrize("packet", FIRST_PACKETS, ids=lambda packet: type(packet).__name__)
def test_first_packet_round_trip(packet: StartupMessage) -> None:
    encoded = packet.encode()
    assert encoded[:4] == len(encoded).to_bytes(4, "big")
    assert decode_first_packet(encoded[4:]) == packet


@pytest.mark.parametrize("packet", FIRST_PACKETS, ids=lambda packet: type(packet).__name__)
def test_first_packet_cut_or_lengthened_is_malformed(packet: StartupMessage) -> None:
    payload = packet.encode()[4:]
    for end in range(len(payload)):
        if isinstance(packet, CancelRequest) and end >= 12:
            continue  # a shorter key
        with pytest.raises(MalformedMessage):
            decode_first_packet(payload[:end])
    if not isinstance(packet, CancelRequest) or len(packet.secret_key) == 256:
        with pytest.raises(MalformedMessage):
            decode_first_packet(payload + b"x")


@pytest.mark.parametrize(("kind", "message", "decode"), MESSAGES, ids=lambda value: type(value).__name__)
def test_message_round_trip_truncations_and_trailing_bytes(
    kind: bytes, message: AuthenticationOk, decode: Callable[[bytes], object]
) -> None:
    encoded = message.encode()
    assert encoded[:5] == kind + (len(encoded) - 1).to_bytes(4, "big")
    assert decode(encoded[5:]) == message
    for end in range(len(encoded) - 5):
        if kind == b"K" and end >= 8:
            continue
        with pytest.raises(MalformedMessage):
            decode(encoded[5 : 5 + end])
    if kind != b"K":
        with pytest.raises(MalformedMessage):
            decode(encoded[5:] + b"x")


@pytest.mark.parametrize("message", [AuthenticationSASLContinue(b"r=x"), AuthenticationSASLFinal(b"v=x")])
def test_sasl_data_runs_to_the_end(message: AuthenticationSASLContinue) -> None:
    assert decode_authentication(message.encode()[5:]) == message
    assert SASLResponse.decode(SASLResponse(b"c=x").encode()[5:]) == SASLResponse(b"c=x")


def test_other_authentication_requests_keep_their_code() -> None:
    assert decode_authentication(b"\0\0\0\x05salt") == AuthenticationOther(5)
    assert decode_authentication(b"\0\0\0\x07") == AuthenticationOther(7)


@pytest.mark.parametrize("decode", [decode_first_packet, decode_authentication, *(decode for _, _, decode in MESSAGES)])
@given(payload=st.binary(max_size=80))
def test_any_bytes_are_a_message_or_a_protocol_error(decode: Callable[[bytes], object], payload: bytes) -> None:
    try:
        decode(payload)
    except (MalformedMessage, UnsupportedFeature):
        return


@given(st.dictionaries(st.binary(min_size=1, max_size=9), st.binary(max_size=9), max_size=9))
def test_any_parameters_round_trip_or_cannot_be_sent(parameters: dict[bytes, bytes]) -> None:
    message = StartupMessage(0, parameters)
    if any(b"\0" in word for pair in parameters.items() for word in pair):
        with pytest.raises(LocalProtocolError):
            message.encode()
    else:
        assert decode_first_packet(message.encode()[4:]) == message


def test_what_no_parameter_may_be() -> None:
    with pytest.raises(LocalProtocolError):
        StartupMessage(0, {b"": b"x"}).encode()
    with pytest.raises(MalformedMessage, match="behind its end"):
        decode_first_packet(b"\0\3\0\0user\0x\0\0more\0")


@pytest.mark.parametrize(("version", "name"), [(2 << 16, "2.0"), (4 << 16, "4.0"), (1234 << 16 | 5681, "1234.5681")])
def test_other_major_versions_are_named(version: int, name: str) -> None:
    with pytest.raises(
        UnsupportedFeature, match=rf"unsupported frontend protocol {name}: server supports 3\.0 to 3\.2"
    ):
        decode_first_packet(version.to_bytes(4, "big") + b"user\0x\0\0")


@pytest.mark.parametrize(
    ("minor", "options", "answer"),
    [
        (0, (), None),
        (2, (), None),
        (1, (), 0),
        (3, (), 2),
        (9999, (b"_pq_.test_protocol_negotiation",), 2),  # libpq 19beta1
        (0, (b"_pq_.x",), 0),
        (2, (b"_pq_.x", b"_pq_.y"), 2),
    ],
)
def test_negotiation_names_the_newest_version_and_every_option(
    minor: int, options: tuple[bytes, ...], answer: int | None
) -> None:
    request = StartupMessage(minor, {b"user": b"x", **dict.fromkeys(options, b"")})
    expected = None if answer is None else NegotiateProtocolVersion(answer, options)
    assert NegotiateProtocolVersion.answer(request) == expected


def test_negotiation_as_a_server_sends_it() -> None:
    assert NegotiateProtocolVersion(2, (b"_pq_.x",)).encode() == b"v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.x\0"


def test_count_of_names_is_checked_before_they_are_read() -> None:
    with pytest.raises(MalformedMessage, match="4294967295 names in 2 bytes"):
        NegotiateProtocolVersion.decode(b"\0\3\0\0\xff\xff\xff\xffx\0")


@pytest.mark.parametrize(
    ("value", "wants"),
    [
        (b"true", True), (b"on", True), (b"YES", True), (b"1", True), (b"database", True), (b"t", True),
        (b"", True), (b"o", True), (b"nonsense", True), (b"falsehood", True),
        (b"false", False), (b"f", False), (b"FALSE", False), (b"off", False), (b"of", False), (b"no", False),
        (b"n", False), (b"0", False),
    ],
)  # fmt: skip
def test_replication_is_what_the_server_takes_for_no_false_boolean(value: bytes, wants: bool) -> None:
    assert StartupMessage(0, {b"user": b"x", b"replication": value}).wants_replication is wants
    assert not STARTUP.wants_replication


def test_database_is_the_users_name_where_none_is_named() -> None:
    assert StartupMessage(0, {b"user": b"x"}).database == b"x"
    assert StartupMessage(0, {b"user": b"x", b"database": b""}).database == b"x"
    assert STARTUP.database == b"shop"


def test_report_takes_the_severity_that_is_not_translated_and_skips_what_it_does_not_know() -> None:
    payload = b"SFATAL\xc3\x89\0VFATAL\0C28000\0Mtext\0Fauth.c\0L123\0Rauth_failed\0\0"
    assert ErrorResponse.decode(payload).report == Report("FATAL", "28000", b"text")
    assert ErrorResponse.decode(b"SPANIC\0C57P03\0\0").report == Report("PANIC", "57P03", b"")


@pytest.mark.parametrize("sqlstate", [b"", b"2800", b"280000", b"28-00"])
def test_report_without_a_sqlstate_is_malformed(sqlstate: bytes) -> None:
    with pytest.raises(MalformedMessage, match="5 letters and digits"):
        ErrorResponse.decode(b"SFATAL\0C" + sqlstate + b"\0Mtext\0\0")


def test_status_of_ready_for_query_is_one_of_three() -> None:
    for payload in (b"", b"X", b"II"):
        with pytest.raises(MalformedMessage):
            ReadyForQuery.decode(payload)


def test_secrets_are_in_no_repr_and_in_no_error() -> None:
    for message in (
        CancelRequest(1, b"hidden-key"),
        BackendKeyData(1, b"hidden-key"),
        PasswordMessage(b"hidden"),
        SASLResponse(b"hidden"),
        SASLInitialResponse(b"X", b"hidden"),
        AuthenticationSASLFinal(b"hidden"),
        StartupMessage(0, {b"hidden": b"hidden"}),
    ):
        assert "hidden" not in repr(message)
    with pytest.raises(MalformedMessage) as caught:
        PasswordMessage.decode(b"hidden")
    assert str(caught.value) == "PasswordMessage.password: no NUL in 6 bytes"


def test_fields_refuse_what_the_wire_cannot_carry() -> None:
    for value in (-1, 1 << 32):
        with pytest.raises(LocalProtocolError):
            int32(value)
    with pytest.raises(LocalProtocolError):
        string(b"a\0b")
    with pytest.raises(MalformedMessage, match=r"Test\.value: 4 bytes wanted, 2 left"):
        PayloadReader(b"ab", "Test").int32("value")
