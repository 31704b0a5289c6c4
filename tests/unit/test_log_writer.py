"""Lines on their way to a reader that stops, comes back, or is gone."""

import fcntl
import os
import threading
from collections.abc import Iterator

import pytest

from rds_iam_proxy.log_writer import LogWriter, to_descriptor

SECONDS = 20.0


class Reader:
    """Takes what is written; `stops` until `comes_back`."""

    def __init__(self) -> None:
        self.text = ""
        self.is_gone = False
        self.entered = threading.Event()
        self._reads = threading.Event()
        self._reads.set()

    def write(self, text: str) -> None:
        self.entered.set()
        assert self._reads.wait(SECONDS)
        if self.is_gone:
            raise BrokenPipeError
        self.text += text

    def stops(self) -> None:
        self._reads.clear()

    def comes_back(self) -> None:
        self._reads.set()


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.comes_back()


def writer_for(reader: Reader) -> LogWriter:
    return LogWriter(reader.write, lambda count: f"({count} dropped)", most=50)


def test_lines_come_in_their_order(reader: Reader) -> None:
    writer = writer_for(reader)
    for number in range(5):
        writer.put(f"line {number}")
    assert writer.flush(SECONDS)
    assert reader.text.splitlines() == [f"line {number}" for number in range(5)]
    assert writer.dropped == 0


def test_reader_that_stops_delays_nobody_and_what_was_dropped_is_told_in_its_place(reader: Reader) -> None:
    writer = writer_for(reader)
    reader.stops()
    writer.put("on its way")
    assert reader.entered.wait(SECONDS)
    for number in range(100):
        writer.put(f"line {number:05d}")  # 4 of 11 characters fit
    assert not writer.flush(0.01)
    assert writer.dropped == 96
    reader.comes_back()
    assert writer.flush(SECONDS)
    writer.put("afterwards")
    assert writer.flush(SECONDS)
    kept = [f"line {number:05d}" for number in range(4)]
    assert reader.text.splitlines() == ["on its way", *kept, "(96 dropped)", "afterwards"]


def test_line_longer_than_all_that_may_wait_is_dropped_and_told_with_the_next(reader: Reader) -> None:
    writer = writer_for(reader)
    writer.put("x" * 51)
    writer.put("next")
    assert writer.flush(SECONDS)
    assert reader.text.splitlines() == ["next", "(1 dropped)"]


def test_lines_for_a_reader_that_is_gone_count_as_dropped(reader: Reader) -> None:
    writer = writer_for(reader)
    reader.is_gone = True
    writer.put("lost")
    assert writer.flush(SECONDS)
    assert writer.dropped == 1
    reader.is_gone = False
    writer.put("found")
    assert writer.flush(SECONDS)
    assert reader.text.splitlines() == ["found", "(1 dropped)"]


def test_descriptor_that_somebody_made_non_blocking_gets_everything() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, fcntl.fcntl(writing, fcntl.F_GETFL) | os.O_NONBLOCK)
    found: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as file:
            found.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    to_descriptor(writing, "ascii")("ü" * 300_000)
    os.close(writing)
    thread.join(SECONDS)
    assert found == [b"\\xfc" * 300_000]
