"""Secrets that systemd hands to a unit (LoadCredential=): of mode 0440, in a folder that is the unit's alone."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mysql_wire.passwords import Verifier
from rds_iam_proxy.config import Config
from rds_iam_proxy.config.load import from_file
from rds_iam_proxy.errors.tree import ConfigError

PASSWORD = b"correct horse battery"
CONFIG = """
[targets.orders]
endpoint = "test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com"
[[listeners]]
bind = "127.0.0.1:3307"
target = "orders"
[[accounts]]
user = "app"
password_file = "PATH"
"""


@pytest.fixture(autouse=True)
def _strange_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's user is not in the group of the files."""
    monkeypatch.setattr(os, "getegid", lambda: 54_321)
    monkeypatch.setattr(os, "getgroups", lambda: [54_321])


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """The folder as systemd makes it. Its modes are those with an ACL for the service's user."""
    folder = tmp_path / "credentials" / "proxy.service"
    folder.mkdir(parents=True)
    secret(folder / "app")
    folder.chmod(0o550)
    return folder


def secret(path: Path, mode: int = 0o440, content: bytes = PASSWORD) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def load(folder: Path, path: str | Path, environ: Mapping[str, str]) -> Config:
    (folder / "proxy.toml").write_text(CONFIG.replace("PATH", str(path)))
    return from_file(folder / "proxy.toml", environ)


def assert_refused(folder: Path, path: str | Path, environ: Mapping[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, path, environ)
    assert ["may read or write" in fault for fault in caught.value.faults] == [True]


def test_password_that_systemd_hands_over_is_taken(tmp_path: Path, credentials: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    (account,) = load(tmp_path, credentials / "app", environ).accounts
    assert account.verifiers == (Verifier.of(PASSWORD),)
    # A link from outside, or to the folder: what counts is where the file is.
    (tmp_path / "link").symlink_to(credentials / "app")
    assert load(tmp_path, "link", environ).accounts == (account,)
    (tmp_path / "folder").symlink_to(credentials)
    assert load(tmp_path, credentials / "app", {"CREDENTIALS_DIRECTORY": str(tmp_path / "folder")})


@pytest.mark.parametrize("mode", [0o444, 0o442, 0o460])
def test_credential_that_others_can_read_or_the_group_can_write_is_refused(
    tmp_path: Path, credentials: Path, mode: int
) -> None:
    (credentials / "app").chmod(mode)
    assert_refused(tmp_path, credentials / "app", {"CREDENTIALS_DIRECTORY": str(credentials)})


def test_file_elsewhere_is_refused_however_its_path_begins(tmp_path: Path, credentials: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    outside = secret(credentials.parent / "outside")
    sibling = credentials.parent / "proxy.service-not"
    sibling.mkdir()
    credentials.chmod(0o750)
    (credentials / "link").symlink_to(outside)
    for path in (outside, credentials / ".." / "outside", credentials / "link", secret(sibling / "app")):
        assert_refused(tmp_path, path, environ)


@pytest.mark.parametrize("named", ["", "credentials/proxy.service", "nowhere", "/nowhere"])
def test_folder_that_is_no_absolute_path_of_a_folder_counts_for_nothing(
    tmp_path: Path, credentials: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(tmp_path, credentials / "app", {"CREDENTIALS_DIRECTORY": named})
    assert_refused(tmp_path, credentials / "app", {})


def test_folder_that_others_may_enter_is_not_systemds(tmp_path: Path, credentials: Path) -> None:
    credentials.chmod(0o551)
    assert_refused(tmp_path, credentials / "app", {"CREDENTIALS_DIRECTORY": str(credentials)})


def test_configuration_with_hashes_may_be_a_credential(tmp_path: Path, credentials: Path) -> None:
    text = CONFIG.replace("password_file", "password_hash").replace("PATH", Verifier.of(PASSWORD).format())
    path = secret(credentials / "proxy.toml", content=text.encode())
    assert from_file(path, {"CREDENTIALS_DIRECTORY": str(credentials)}).accounts[0].verifiers
    with pytest.raises(ConfigError):
        from_file(path, {})
