"""Field types: round trips, every truncation, bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_wire.errors import LocalProtocolError, MalformedPacket
from mysql_wire.fields import PayloadReader, PayloadWriter

BORDERS = [0, 0xFA, 0xFB, 0xFF, 0xFFFF, 0x10000, 0xFFFFFF, 0x1000000, 2**64 - 1]


@pytest.mark.parametrize("value", BORDERS)
def test_length_encoded_integer_round_trip_at_borders(value: int) -> None:
    payload = PayloadWriter().int_lenenc(value).payload()
    assert PayloadReader(payload, "Test").int_lenenc("value") == value
    for end in range(len(payload)):
        with pytest.raises(MalformedPacket):
            PayloadReader(payload[:end], "Test").int_lenenc("value")


@pytest.mark.parametrize("first", [0xFB, 0xFF])
def test_bytes_that_begin_no_length_are_refused(first: int) -> None:
    with pytest.raises(MalformedPacket, match=r"Test\.value"):
        PayloadReader(bytes((first,)) * 9, "Test").int_lenenc("value")


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_strings_round_trip(value: bytes, rest: bytes) -> None:
    writer = PayloadWriter().string_lenenc(value).string_nul(value.replace(b"\0", b"x")).string_fixed(rest)
    reader = PayloadReader(writer.payload(), "Test")
    assert reader.string_lenenc("a") == value
    assert reader.string_nul("b") == value.replace(b"\0", b"x")
    assert reader.string_eof() == rest
    assert reader.left == 0


def test_length_beyond_the_packet_is_refused_before_memory_is_taken() -> None:
    payload = PayloadWriter().int_lenenc(2**62).string_fixed(b"x").payload()
    with pytest.raises(MalformedPacket, match="bytes wanted, 1 left"):
        PayloadReader(payload, "Test").string_lenenc("value")


def test_missing_nul_names_field_and_length_never_content() -> None:
    with pytest.raises(MalformedPacket) as caught:
        PayloadReader(b"secret", "Test").string_nul("field")
    assert str(caught.value) == "Test.field: no NUL in 6 bytes"


def test_writer_refuses_what_the_wire_cannot_carry() -> None:
    with pytest.raises(LocalProtocolError):
        PayloadWriter().string_nul(b"a\0b")
