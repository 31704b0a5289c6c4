import io
import stat
from pathlib import Path

import pytest

from mysql_wire.passwords import Verifier
from rds_iam_proxy.commands.make_password import make_password
from rds_iam_proxy.errors.tree import ConfigError


def made(path: Path) -> tuple[str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    make_password(path, stdout=stdout, stderr=stderr)
    return stdout.getvalue(), stderr.getvalue()


def test_file_and_folder_are_their_owners_alone_and_the_password_is_shown_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "password"
    out, err = made(path)
    password = out.rstrip("\n")
    assert len(password) == 24
    assert path.read_text() == out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert password not in err
    assert str(path) in err
    assert Verifier.of(password.encode())


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "password"
    if kind == "link":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("the password")
    with pytest.raises(ConfigError, match="is there already, and stays as it is"):
        made(path)
    assert kind != "file" or path.read_text() == "the password"


def test_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written: (File exists|Not a directory)"):
        made(tmp_path / "file" / "password")
