"""OK, ERR and the messages of an authentication exchange."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_wire.constants import Capability, Status
from mysql_wire.errors import MalformedPacket
from mysql_wire.fields import PayloadWriter
from mysql_wire.reply import (
    AuthMoreData,
    AuthSwitchRequest,
    ERRPacket,
    OKPacket,
    decode_login_reply,
    without_redirect_url,
)

TRACK = Capability.SESSION_TRACK
PLAIN = Capability(0)


def _variable(name: bytes, value: bytes) -> bytes:
    return PayloadWriter().string_lenenc(name).string_lenenc(value).payload()


def _state(kind: int, data: bytes) -> bytes:
    return PayloadWriter().int_fixed(kind, 1).string_lenenc(data).payload()


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=300),
    st.binary(max_size=300),
    st.booleans(),
)
def test_ok_round_trip(rows: int, insert_id: int, info: bytes, state: bytes, track: bool) -> None:
    capabilities = TRACK if track else PLAIN
    status = Status.AUTOCOMMIT | (Status.SESSION_STATE_CHANGED if track and state else Status(0))
    ok = OKPacket(status, info, state if track else b"", rows, insert_id, 3)
    assert OKPacket.decode(ok.encode(capabilities), capabilities) == ok


def test_ok_at_every_truncation() -> None:
    payload = OKPacket(Status.AUTOCOMMIT | Status.SESSION_STATE_CHANGED, b"info", b"state").encode(TRACK)
    for end in range(len(payload)):
        if end == 7:  # a whole OK without info
            continue
        with pytest.raises(MalformedPacket):
            OKPacket.decode(payload[:end], TRACK)


def test_redirect_url_is_dropped_and_the_rest_kept() -> None:
    kept = _variable(b"autocommit", b"ON")
    schema = _state(1, b"\x04shop")
    state = _state(0, kept + _variable(b"redirect_url", b"mysql://elsewhere:3306")) + schema
    assert without_redirect_url(state) == _state(0, kept) + schema
    assert without_redirect_url(_state(0, _variable(b"redirect_url", b"mysql://x"))) == b""
    empty = _state(0, _variable(b"redirect_url", b""))
    assert without_redirect_url(empty) == empty


def test_session_state_cut_short_is_malformed() -> None:
    with pytest.raises(MalformedPacket):
        without_redirect_url(b"\0\x20abc")


def test_err_with_and_without_sqlstate() -> None:
    err = ERRPacket(1045, "28000", b"Access denied")
    assert ERRPacket.decode(err.encode()) == err
    assert err.encode()[3:9] == b"#28000"
    assert ERRPacket.decode(b"\xff\x10\x04Too many connections") == ERRPacket(1040, "HY000", b"Too many connections")
    with pytest.raises(MalformedPacket):
        ERRPacket.decode(b"\xff\x10\x04#28")


def test_auth_switch_round_trip_and_empty_data() -> None:
    request = AuthSwitchRequest("mysql_native_password", b"n" * 20 + b"\0")
    assert AuthSwitchRequest.decode(request.encode()) == request
    assert AuthSwitchRequest.decode(b"\xfemysql_clear_password\0").plugin_data == b""
    with pytest.raises(MalformedPacket):
        AuthSwitchRequest.decode(b"\xfe")  # the switch to mysql_old_password


def test_login_reply_is_told_by_its_first_byte() -> None:
    assert isinstance(decode_login_reply(b"\x01\x03", PLAIN), AuthMoreData)
    assert isinstance(decode_login_reply(b"\xfep\0", PLAIN), AuthSwitchRequest)
    assert isinstance(decode_login_reply(b"\xff\x15\x04#28000no", PLAIN), ERRPacket)
    assert isinstance(decode_login_reply(b"\0\0\0\x02\0\0\0", PLAIN), OKPacket)
    for payload in (b"", b"\x0a", b"\xfb"):
        with pytest.raises(MalformedPacket):
            decode_login_reply(payload, PLAIN)
