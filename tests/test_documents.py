"""What the documents say exists: the configuration of the README, its flags and files."""

import dataclasses
import os
import pwd
import re
import runpy
import textwrap
import tomllib
from pathlib import Path

import pytest

from rds_iam_proxy.cli.app import app
from rds_iam_proxy.config import Account, Config, Listener, Log, Target
from rds_iam_proxy.config.flags import CONFIG_FLAGS
from rds_iam_proxy.config.load import from_file
from rds_iam_proxy.config.tables import TABLES, header

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "proxy" / "rds_iam_proxy"
_AT_THE_TOP = ("README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md")
_PAGES = sorted(
    str(path.relative_to(ROOT)) for folder in ("docs", "packaging") for path in (ROOT / folder).rglob("*.md")
)
DOCUMENTS = (*_AT_THE_TOP, *_PAGES)
MAX_README_LINES = 220
_COMMANDS = app.commands
_COMMAND = re.compile(rf"rds-iam-proxy ({'|'.join(_COMMANDS)})\b((?:\\\n|[^\n`])*)")


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def test_configuration_of_the_documents_is_accepted(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", _text("docs/operations.md"), re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(block.replace("deploy", pwd.getpwuid(os.getuid()).pw_name))  # a user who exists here
    (tmp_path / "next-password").touch(mode=0o600)
    (tmp_path / "next-password").write_text("the one to come")
    config = from_file(path, {"LEGACY_APP_PASSWORD": "a password"})
    assert list(config.targets) == ["orders", "reports"]
    assert config.targets["reports"].region == "eu-west-1"
    assert config.warnings == ()
    defaults = config.targets["reports"]
    written = tomllib.loads(block)["targets"]["orders"]
    for key in ("logins_per_second", "login_burst", "login_wait", "max_sessions"):
        assert getattr(defaults, key) == written[key], f"the page shows the default of {key}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tables_of_the_pages_are_accepted(name: str, tmp_path: Path) -> None:
    """What is shown of a configuration, completed by what the page leaves out."""
    for number, block in enumerate(_toml_blocks(_text(name))):
        path = tmp_path / f"{number}.toml"
        path.write_text(_completed(block, tmp_path))
        path.chmod(0o600)
        config = from_file(path, {"LEGACY_APP_PASSWORD": "a password"})
        assert config.targets, block


def _toml_blocks(text: str) -> list[str]:
    fenced = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"(?<=\n\n)((?: {4}[^\n]*\n(?:\n(?= {4}))?)+)", text)
    shown = r"(?: {4}\[\[?(?:targets|listeners|fleet)\b|    (?:tunnel|allow_remote) = )"
    return fenced + [textwrap.dedent(block) for block in indented if re.match(shown, block)]


def _completed(block: str, folder: Path) -> str:
    """With files that exist, and the tables that a configuration needs."""
    for file in re.findall(r'_file = "(?:/[^"]*/)?([^"/]+)"', block):
        (folder / file).touch(mode=0o600)
        (folder / file).write_text("a password of this test")
    block = re.sub(r'(_file = ")/[^"]*/', r"\1", block).replace("native:…,sha2:…", f"native:{'0' * 40},sha2:{'0' * 64}")
    block = block.replace('"deploy"', f'"{pwd.getpwuid(os.getuid()).pw_name}"')
    endpoint = 'endpoint = "orders.abc123def456.eu-west-1.rds.amazonaws.com"\n'
    listener = '\n[[listeners]]\nbind = "127.0.0.1:0"\ntarget = "orders"\n'
    if block.startswith("tunnel"):
        block = f"[targets.orders]\n{endpoint}{block}"
    if block.startswith("allow_remote"):
        block = f"{listener}{block}"
    if "[targets." not in block:
        block += f"\n[targets.orders]\n{endpoint}"
    if "[[listeners]]" not in block:
        block += listener
    if "[[accounts]]" not in block:
        block += '\n[[accounts]]\nuser = "app"\npassword_env = "LEGACY_APP_PASSWORD"\n'
    return block


def test_flags_in_commands_exist() -> None:
    used = [used for name in DOCUMENTS for used in _COMMAND.findall(_text(name))]
    assert {command for command, _ in used} == set(_COMMANDS)
    for command, words in used:
        flags = {flag for parameter in _COMMANDS[command].params for flag in parameter.opts} | {"--help"}
        ours = re.split(r"\s-- ", words)[0]  # after the two dashes it is another program's
        assert set(re.findall(r"--[a-z][a-z-]+", ours)) - flags == set(), f"{command} {words}"


def test_page_of_the_keys_is_made_from_their_rows() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))["text"]()
    assert _text("docs/configuration.md") == made, "run `make docs`"
    for name, table in TABLES.items():
        assert f"## `{header(name)}`" in made or not name
        for key, field in table.model_fields.items():
            assert f"| `{key}` | " in made
            assert field.description


def test_default_of_a_row_is_that_of_the_value() -> None:
    for table, value in {"targets": Target, "listeners": Listener, "accounts": Account, "log": Log, "": Config}.items():
        defaults = {field.name: field.default for field in dataclasses.fields(value)}
        for key, field in TABLES[table].model_fields.items():
            default = defaults.get(key)
            if isinstance(default, int | float | str):
                row = field.json_schema_extra
                assert isinstance(row, dict)
                assert row["default"] == (f"{default:g}" if isinstance(default, float) else str(default).lower()), key


def test_every_flag_stands_for_a_key() -> None:
    for row in CONFIG_FLAGS:
        assert row.key.rpartition(".")[2] in TABLES[row.table].model_fields, row


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_files_that_are_named_exist(name: str) -> None:
    text = _text(name)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        linked = (ROOT / name).parent / file if file else ROOT / name
        assert linked.exists(), link
        assert not anchor or anchor in _headings(linked.read_text()), link
    named = re.findall(r"`((?:tests|proxy|protocol|demo|docs|bench|packaging)/[\w./-]*)`", text)
    places = [ROOT, PACKAGE]
    assert [path for path in named if not any((place / path).exists() for place in places)] == []


def test_readme_is_short_and_names_every_page() -> None:
    text = _text("README.md")
    assert len(text.splitlines()) <= MAX_README_LINES
    assert [page for page in _PAGES if page.startswith("docs/") and f"({page}" not in text] == []


def _headings(text: str) -> set[str]:
    return {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_rooms_of_the_architecture_are_those_that_are_checked() -> None:
    contracts = tomllib.loads(_text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    floors = {
        one["name"].removeprefix("Floors of "): {
            layer.rpartition(".")[2] for line in one["layers"] for layer in line.split(" | ")
        }
        for one in contracts
        if one["name"].startswith("Floors of ")
    }
    chapter = _text("ARCHITECTURE.md").partition("## One login")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", chapter, re.MULTILINE)
    for wing, rooms in rows:
        folder = next(path for path in (PACKAGE / wing, ROOT / "protocol" / wing) if path.is_dir())
        modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        assert modules - {"__init__"} - set(re.findall(r"`(\w+)`", rooms)) == set(), wing
        assert modules - {"__init__"} == floors[wing], wing
    wings = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert wings | {"mysql_wire", "pg_wire"} == {wing for wing, _ in rows} == set(floors)


def test_names_of_the_architecture_are_where_it_says() -> None:
    """Of `room.Name.attribute`: a room so named has the name, and what has the name has the attribute."""
    code = {path: path.read_text() for root in ("proxy", "protocol") for path in (ROOT / root).rglob("*.py")}
    named = set(re.findall(r"`((?:\w+\.)*\w+)(?:\(\))?`", _text("ARCHITECTURE.md")))
    dotted = {name for name in named if "." in name and not name.endswith((".c", ".lua", ".toml"))}
    assert len(dotted) > 80
    assert {name for name in named if (name in dotted or name[0].isupper()) and not _places(name, code)} == set()


def _places(name: str, code: dict[Path, str]) -> list[Path]:
    """The files that have it."""
    places = list(code)
    for part in name.split("."):
        rooms = [path for path in places if part in (path.stem, path.parent.name)]
        known = re.compile(rf"\b(?:class|def) {part}\b|^ *(?:self\.)?{part}\b(?:: [^=]+)?(?: =|$)", re.MULTILINE)
        places = rooms or [path for path in places if known.search(code[path])]
    return places


def test_make_targets_that_are_named_exist() -> None:
    named = set(re.findall(r"`make ([a-z-]+)`", "".join(map(_text, DOCUMENTS))))
    targets = set(re.findall(r"^([a-z-]+):", _text("Makefile"), re.MULTILINE))
    assert named - targets == set()
