"""What the documents say exists: the configuration of the README, its flags and files."""

import os
import pwd
import re
import tomllib
from pathlib import Path

import pytest
import typer

from rds_iam_proxy.cli import app
from rds_iam_proxy.config import from_file

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md")
_COMMAND = re.compile(r"rds-iam-proxy (serve|demo|hash-password)((?:\\\n|[^\n`])*)")


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def test_configuration_of_the_readme_is_accepted(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", _text("README.md"), re.DOTALL)
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
        assert getattr(defaults, key) == written[key], f"the README shows the default of {key}"


def test_flags_in_commands_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    used = [used for name in DOCUMENTS for used in _COMMAND.findall(_text(name))]
    assert {command for command, _ in used} == set(commands)
    for command, words in used:
        flags = {flag for parameter in commands[command].params for flag in parameter.opts} | {"--help"}
        assert set(re.findall(r"--[a-z][a-z-]+", words)) - flags == set(), f"{command} {words}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_files_that_are_named_exist(name: str) -> None:
    text = _text(name)
    linked = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:tests|proxy|protocol|demo)/[\w./-]*)`", text)
    places = [ROOT, ROOT / "proxy" / "rds_iam_proxy"]
    assert [path for path in (*linked, *named) if not any((place / path).exists() for place in places)] == []


def test_modules_of_the_architecture_are_those_there_are() -> None:
    tables = "\n".join(line for line in _text("ARCHITECTURE.md").splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in tables.splitlines())))
    for folder in (ROOT / "protocol" / "mysql_wire", ROOT / "proxy" / "rds_iam_proxy"):
        modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        assert modules - {"__init__"} - named == set()


def test_names_of_the_architecture_are_in_the_code() -> None:
    code = "\n".join(path.read_text() for root in ("proxy", "protocol") for path in (ROOT / root).rglob("*.py"))
    named = re.findall(r"`(?:[a-z_]+\.)?([A-Z]\w+)(?:\.(\w+))?(?:\(\))?`", _text("ARCHITECTURE.md"))
    words = {word for pair in named for word in pair if word and not word.isupper()}
    assert {word for word in words if not re.search(rf"\b(?:class|def) {word}\b", code)} == set()


def test_make_targets_that_are_named_exist() -> None:
    named = set(re.findall(r"`make ([a-z-]+)`", "".join(map(_text, DOCUMENTS))))
    targets = set(re.findall(r"^([a-z-]+):", _text("Makefile"), re.MULTILINE))
    assert named - targets == set()
