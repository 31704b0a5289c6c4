"""Packet headers and sequence ids."""

import pytest

from mysql_wire.constants import MAX_PACKET_PAYLOAD
from mysql_wire.errors import LocalProtocolError, PacketTooLarge, UnexpectedPacket
from mysql_wire.packet import MAX_LOGIN_PAYLOAD, Header, Sequence, frame


def test_header_round_trip() -> None:
    for length in (0, 1, 0xFF, 0x100, MAX_PACKET_PAYLOAD):
        for sequence_id in (0, 1, 255):
            header = Header(length, sequence_id)
            assert Header.decode(header.encode()) == header


def test_sequence_counts_in_both_directions_and_wraps() -> None:
    sequence = Sequence(254)
    assert sequence.frame(b"a")[3] == 254
    sequence.accept(Header(1, 255))
    assert sequence.frame(b"b")[3] == 0


def test_wrong_sequence_id_is_unexpected() -> None:
    with pytest.raises(UnexpectedPacket, match="sequence id 88 instead of 1"):
        Sequence(1).accept(Header.decode(b"PROX"))


def test_login_payload_above_the_limit_is_refused_from_its_header() -> None:
    Sequence(0).accept(Header(MAX_LOGIN_PAYLOAD, 0))
    with pytest.raises(PacketTooLarge):
        Sequence(0).accept(Header(MAX_LOGIN_PAYLOAD + 1, 0))


def test_frame_refuses_a_payload_that_needs_two_packets() -> None:
    with pytest.raises(LocalProtocolError):
        frame(bytes(MAX_PACKET_PAYLOAD), 0)
