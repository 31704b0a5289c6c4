import string
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rds_iam_proxy.config.lines import Lines
from rds_iam_proxy.config.load import from_file
from rds_iam_proxy.errors.tree import ConfigError


def valid(text: str) -> str:
    tomllib.loads(text)
    return text


def test_line_of_every_key() -> None:
    text = valid(
        "# a comment [not.a.table]\n"
        "drain_timeout = 3\n"
        "\r\n"
        '  [ targets . "orders" ]   # [[accounts]]\n'
        'endpoint = """\n'
        "[targets.no]\n"
        'dial = 3 \\""" """\n'
        'region = "a # b [ \\" "\n'
        "many = [ # [\n"
        '  [1, 2], "]",\n'
        '  { dial = "x" },\n'
        "]\n"
        "last = '''\n"
        "no = 1'''\n"
        "[[accounts]]\n"
        "user=1\n"
        "[[accounts]]\n"
        "user = 2\n"
        "x.y = 4\n"
        "inline = [{ user = 1 }]\n"
        "[accounts.below]\n"
        "key = 1"
    )
    lines = Lines(text)
    for path, line in {
        ("drain_timeout",): 2,
        ("targets", "orders"): 4,
        ("targets", "orders", "endpoint"): 5,
        ("targets", "orders", "region"): 8,
        ("targets", "orders", "many"): 9,
        ("targets", "orders", "last"): 13,
        ("accounts",): 15,
        ("accounts", 0, "user"): 16,
        ("accounts", 1): 17,
        ("accounts", 1, "user"): 18,
        ("accounts", 1, "x", "y"): 19,
        ("accounts", 1, "inline", 0, "user"): 20,
        ("accounts", 1, "below", "key"): 22,
    }.items():
        assert lines.of(path) == line, path
    assert lines.of(("targets", "orders", "dial")) == 4, "of the table around it"
    assert lines.of(("targets", "no")) == 4
    assert lines.of(("nothing",)) is None


@given(st.lists(st.sampled_from(["[t]", "[[a]]", "k = 1", 'k = """', '"""', "\n", "#", "[", "]", "{", "'", "\\", " "])))
def test_any_text_has_lines_within_it(parts: list[str]) -> None:
    text = "".join(parts)
    line = Lines(text).of(("a", 0))
    assert line is None or 1 <= line <= text.count("\n") + 1


@pytest.mark.parametrize(
    "text", ["\n" * 1000 + "#", " \n", "a.", "[", '"', '"""', "\\", "a=[", "'", "a=1\n", "[[a]]\n"]
)
def test_work_grows_with_the_text_only(text: str) -> None:
    began = time.process_time()
    Lines((text * 1_000_000)[: 1 << 20])
    assert time.process_time() - began < 20, "seconds; a quadratic way would take hours"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"a = " + b"{a=" * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b"[" + b".".join([b"targets"] * 5000) + b"]", "targets.targets, line 1: unknown key"),
        (b"drain_timeout = " + b"1" * 5000, "not valid TOML"),
        (b"drain_timeout = 1e999", "drain_timeout, line 1: must be a finite number"),
        (b"#" * (1 << 20) + b"\n", "longer than 1048576 bytes"),
        (b"\xef\xbb\xbfdrain_timeout = -1", "drain_timeout, line 1: must be"),
        (b"\0", "not valid TOML"),
    ],
)
def test_odd_file_is_explained(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "proxy.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        from_file(tmp_path / "proxy.toml", {})
    assert any(text in fault for fault in caught.value.faults), [fault[:200] for fault in caught.value.faults]


_KEYS = [
    "targets",
    "listeners",
    "accounts",
    "admin",
    "log",
    "drain_timeout",
    "endpoint",
    "bind",
    "user",
    "target",
    "tls",
]
_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.sampled_from(["nan", "-inf", "1e400", "2020-01-01", '"x"', '"127.0.0.1:1"', '"orders"', '"\\u0000"', "''"])
    | st.text(string.printable, max_size=5).map(
        lambda text: "'" + text.translate({39: None, 10: None, 13: None}) + "'"
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(map(_toml, values))}]")
        | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {_toml(value)}" for key, value in table.items()) + "}"
        )
    ),
    max_leaves=5,
)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["[targets.a]", "[targets]", "[[listeners]]", "[[accounts]]", "[admin]", "[log]", "[a.b.c]"])
        | st.tuples(st.sampled_from(_KEYS), _VALUES).map(lambda pair: f"{pair[0]} = {_toml(pair[1])}"),
        max_size=8,
    )
)
def test_no_file_ends_in_anything_but_faults(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "proxy.toml").write_text("\n".join(lines))
    with pytest.raises(ConfigError) as caught:
        from_file(tmp_path / "proxy.toml", {})
    assert caught.value.faults
