"""The admin token: made on first use, kept, private."""

import os
import stat
from pathlib import Path

import pytest

from rds_iam_proxy.admin.token import admin_token
from rds_iam_proxy.config import Admin
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.net.address import Address

BIND = Address("127.0.0.1", 9090)


def test_made_on_first_use_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    token, path = admin_token(Admin(BIND), folder)
    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert admin_token(Admin(BIND), folder) == (token, path)
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_one_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    _, path = admin_token(Admin(BIND), tmp_path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="delete the file"):
        admin_token(Admin(BIND), tmp_path)


@pytest.mark.parametrize("content", ["", "\n", "short"])
def test_what_is_left_of_one_is_made_anew(tmp_path: Path, content: str) -> None:
    """A start on a full disk may have left an empty file: with it anybody could end sessions."""
    _, path = admin_token(Admin(BIND), tmp_path)
    path.write_text(content)
    token, _ = admin_token(Admin(BIND), tmp_path)
    assert len(token) >= 32
    assert path.read_bytes().strip() == token


def test_a_fifo_in_its_place_is_a_fault(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "admin-token", 0o600)
    with pytest.raises(ConfigError, match="no regular file"):
        admin_token(Admin(BIND), tmp_path)


def test_a_file_of_the_operator_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("correct-horse-battery-staple\n")
    assert admin_token(Admin(BIND, file), tmp_path / "state") == (b"correct-horse-battery-staple", file)
    assert not (tmp_path / "state").exists()


def test_no_place_for_it_is_a_fault_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(ConfigError, match="--admin-token-file"):
        admin_token(Admin(BIND), tmp_path / "state")
