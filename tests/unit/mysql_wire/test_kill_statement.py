"""The text of a KILL statement, as a client may write it."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from kit.work import Watched, lines_run
from mysql_wire.commands import MAX_KILL_PAYLOAD
from mysql_wire.kill_statement import connection_id, may_be_kill

PIECES = [b"/*", b"*/", b"/**/", b"/*!", b"/*M!", b"--", b"-", b"#", b"\n", b" ", b"\t", b"KILL", b"kill ", b"HARD "]
PIECES += [b"QUERY ", b"CONNECTION ", b"soft ", b"7", b" 4711", b"12345678901", b";", b"x", b"\xff", b"\0", b"*", b"/"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=64).map(lambda pieces: b"".join(pieces)[:MAX_KILL_PAYLOAD])

# The grammar once more; possessive, so that it cannot go back.
GRAMMAR = re.compile(
    rb"(?>\s|/\*(?!!|M!)(?>.*?\*/)|--(?=\s)[^\n]*\n|#[^\n]*\n)*+"
    rb"KILL\s++(?:(?:HARD|SOFT)\s++)?+(?:(?:CONNECTION|QUERY)\s++)?+(\d{1,10})\s*+;?+\s*+",
    re.IGNORECASE | re.DOTALL,
)


@given(TEXTS)
@example(b"")
@example(b"\n" * 5 + b"KILL 5")
def test_the_id_is_found_where_the_grammar_has_it(text: bytes) -> None:
    expected = GRAMMAR.fullmatch(text)
    found = connection_id(text)
    assert (found and (found.start, found.stop)) == (expected and expected.span(1))
    assert found is None or may_be_kill(text[0])


@given(TEXTS | st.binary(max_size=MAX_KILL_PAYLOAD))
@example(b"/**/" * 58 + b"KILL x")
@example(b"/*" * 128)
@example(b"/* " * 85)
@example(b"/* */" * 51)
@example(b"# " * 128)
@example(b"-- " * 85)
@example(b"--\n" * 80)
@example(b"KILL" + b" " * 240 + b"5")
def test_every_byte_is_looked_at_a_few_times_at_most(text: bytes) -> None:
    watched = Watched(text)
    lines = lines_run(lambda: connection_id(watched), below="mysql_wire")
    assert watched.looked_at <= 20 * len(text) + 20
    assert lines <= 8 * len(text) + 20
