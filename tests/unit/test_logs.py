import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_iam_proxy.errors.symptoms import WHILE_IT_RUNS
from rds_iam_proxy.log_writer import MAX_WAITING_CHARACTERS
from rds_iam_proxy.logs import MAX_PRINTED, escaped, event, flush, printable, say, setup, takes_colours

LOG = logging.getLogger("rds_iam_proxy.somewhere")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
CLOCK = r"\d\d:\d\d:\d\d"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO) -> str:
    """What the log's thread has written when it has nothing more to write."""
    assert flush(20)
    return stream.getvalue()


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    names = ("rds_iam_proxy", "boto3", "botocore", "urllib3")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in names:
        logging.getLogger(name).setLevel(levels[name])


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"app", "app"),
        ("jürgen".encode(), "jürgen"),
        (b"", ""),
        (b"a\nb\r\tc", r"a\nb\r\tc"),
        (b"\x1b[31mred", r"\x1b[31mred"),
        (b"\0\x7f", r"\x00\x7f"),
        ("\x85\x9b".encode(), r"\u0085\u009b"),
        (b"\xff\xe4", r"\xff\xe4"),
        (b"back\\slash", r"back\\slash"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u202eevil\u2066\u200b\ufeff", r"\u202eevil\u2066\u200b\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        (b"x" * 64, "x" * 64),
        (b"x" * 65, "x" * 63 + "…"),
        ("ü".encode() * 65, "ü" * 63 + "…"),
        ("😀".encode() * 64, "😀" * 64),
        ("😀".encode() * 65, "😀" * 63 + "…"),
        (b"x" * 60 + b"\0\0", "x" * 60 + "…"),
        (b"x" * 59 + b"\0\0", "x" * 59 + r"\x00" + "…"),
    ],
)
def test_what_a_client_sent_is_shown_harmless_and_short(raw: bytes | str, shown: str) -> None:
    assert printable(raw) == shown


@given(st.one_of(st.binary(), st.text(), st.binary(min_size=300)))
def test_shown_text_is_always_one_printable_line(raw: bytes | str) -> None:
    shown = printable(raw)
    assert shown.isprintable()
    assert len(shown) <= MAX_PRINTED


@given(st.text())
def test_escaped_text_is_printable_and_whole(text: str) -> None:
    shown = escaped(text)
    assert shown.isprintable()
    assert len(shown) >= len(text)


def test_text_line() -> None:
    stream = io.StringIO()
    setup("text", "info", stream)
    event(LOG, logging.INFO, "session closed", target="orders", seconds=1.23456789, ok=True, none=None, why="a b")
    assert re.fullmatch(
        TIME + ' INFO    session closed target=orders seconds=1.234568 ok=true why="a b"\n', written(stream)
    )


def test_json_line() -> None:
    stream = io.StringIO()
    setup("json", "info", stream)
    event(LOG, logging.WARNING, "session closed", target="orders", bytes=3, level="x", none=None)
    line = json.loads(written(stream))
    assert re.fullmatch(TIME, line.pop("time"))
    assert line == {"level": "warning", "event": "session closed", "target": "orders", "bytes": 3}


@pytest.mark.parametrize("format", ["text", "json"])
def test_no_field_can_end_a_line_or_move_the_cursor(format: str) -> None:
    stream = io.StringIO()
    setup(format, "info", stream)  # type: ignore[arg-type]
    event(LOG, logging.INFO, "login refused", user='x" level=1\nfake\x1b[2J\u2028')
    text = written(stream)
    assert text.count("\n") == 1
    assert text.removesuffix("\n").isprintable()
    if format == "text":
        assert r'user="x\" level=1\nfake\x1b[2J\u2028"' in text
    else:
        assert json.loads(text)["user"] == 'x" level=1\\nfake\\x1b[2J\\u2028'


def test_value_from_a_client_is_escaped_once() -> None:
    stream = io.StringIO()
    setup("text", "info", stream)
    event(LOG, logging.INFO, "login refused", user=printable(b"\x1b"))
    assert written(stream).endswith(" user=\\x1b\n")


@pytest.mark.parametrize(("stream", "first"), [(Terminal(), "\x1b"), (io.StringIO(), "{")])
def test_format_follows_the_stream(stream: io.StringIO, first: str) -> None:
    setup(stream=stream)
    event(LOG, logging.INFO, "listening")
    assert written(stream)[0] == first


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_level_is_that_of_our_logger_only(level: str) -> None:
    stream = io.StringIO()
    setup("json", level, stream)  # type: ignore[arg-type]
    for name in ("rds_iam_proxy.x", "botocore.auth", "boto3", "urllib3", "asyncio"):
        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(number, "message")
    lines = [json.loads(line) for line in written(stream).splitlines()]
    ours = [line["level"] for line in lines if "logger" not in line]
    assert ours == ["debug", "info", "warning", "error"][-len(ours) :]
    assert ours[0] == level
    others = {(line["logger"], line["level"]) for line in lines if "logger" in line}
    libraries = ("botocore.auth", "boto3", "urllib3", "asyncio")
    assert others == {(name, shown) for name in libraries for shown in ("warning", "error")}


def test_setting_up_again_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    setup("text", "info", first)
    setup("text", "info", second)
    event(LOG, logging.INFO, "once")
    assert (written(first), written(second).count("once")) == ("", 1)


def failure() -> ValueError:
    secret = "s3cret"
    try:
        raise ValueError(f"two\nlines of {len(secret)}")
    except ValueError as exc:
        return exc


@pytest.mark.parametrize("format", ["text", "json"])
def test_traceback_is_shown_at_debug_level_only_and_without_locals(format: str) -> None:
    for level in ("info", "debug"):
        stream = io.StringIO()
        setup(format, level, stream)  # type: ignore[arg-type]
        event(LOG, logging.ERROR, "unexpected", exception=failure())
        text = written(stream)
        assert text.count("\n") == 1
        assert "ValueError: two" in text
        assert ("Traceback" in text) == (level == "debug")
        assert '"s3cret"' not in text.replace('secret = "s3cret"', "")


def test_exception_of_a_library_is_one_line() -> None:
    stream = io.StringIO()
    setup("text", "info", stream)
    exc = failure()
    logging.getLogger("asyncio").error("lost\ntask", exc_info=(type(exc), exc, None))
    assert written(stream).endswith(r' ERROR   lost\ntask logger=asyncio error="ValueError: two\nlines of 6"' + "\n")


def test_closed_log_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    setup("text", "info", Closed())
    event(LOG, logging.INFO, "lost", password="s3cret")
    assert flush(20)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", True),
        ({"TERM": "xterm"}, "linux", True),
        ({"TERM": "dumb"}, "linux", False),
        ({"NO_COLOR": ""}, "linux", False),
        ({}, "win32", False),
        ({"WT_SESSION": "1"}, "win32", True),
        ({"WT_SESSION": "1", "NO_COLOR": "1"}, "win32", False),
    ],
)
def test_colours_are_for_terminals_that_take_them(environ: dict[str, str], platform: str, expected: bool) -> None:
    assert takes_colours(environ, platform) == expected


def test_line_on_a_terminal_has_the_event_and_its_reason_first() -> None:
    for in_colour, shape in (
        (True, r"\x1b\[2m{time}\x1b\[0m \x1b\[33mlogin refused\x1b\[0m: no such\\x1b user  \x1b\[2muser=app\x1b\[0m\n"),
        (False, r"{time} WARNING login refused: no such\\x1b user  user=app\n"),
    ):
        stream = Terminal()
        setup(stream=stream, in_colour=in_colour)
        event(LOG, logging.WARNING, "login refused", user="app", text="no such\x1b user")
        assert re.fullmatch(shape.format(time=CLOCK), written(stream))


def test_lines_for_a_person_come_in_their_order() -> None:
    stream = Terminal()
    setup(stream=stream)
    event(LOG, logging.INFO, "before")
    say("Ready.\n\n  mysql")
    event(LOG, logging.INFO, "after")
    plain = re.sub(r"\x1b\[\d+m", "", written(stream))
    assert re.sub(f"^{CLOCK} ", "", plain, flags=re.MULTILINE) == "before\nReady.\n\n  mysql\nafter\n"


def test_reload_of_the_log_keeps_its_writer_and_what_waits_there() -> None:
    stream = io.StringIO()
    setup("text", "info", stream)
    before = logging.getLogger().handlers[-1]
    event(LOG, logging.INFO, "as text")
    setup("json", "info", stream)
    event(LOG, logging.INFO, "as json")
    assert logging.getLogger().handlers[-1] is before
    first, second = written(stream).splitlines()
    assert first.endswith("as text")
    assert json.loads(second)["event"] == "as json"


def test_what_the_documents_say_of_dropped_lines_is_what_the_log_says() -> None:
    stream = io.StringIO()
    setup("text", "info", stream)
    event(LOG, logging.INFO, "x" * (MAX_WAITING_CHARACTERS + 1))
    event(LOG, logging.INFO, "next")
    text = written(stream)
    assert " WARNING log lines dropped lines=1 " in text
    assert "`log lines dropped`" in [shown for shown, _, _ in WHILE_IT_RUNS]
