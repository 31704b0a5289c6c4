"""Small files: whole, private, regular."""

import os
import stat
from pathlib import Path

import pytest

from rds_iam_proxy.files import file_stamp, is_private, read_file, write_private_file


def test_it_is_private_whatever_the_umask_and_so_is_a_folder_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "file"
    before = os.umask(0)
    try:
        write_private_file(path, b"content")
    finally:
        os.umask(before)
    content, status = read_file(path)
    assert content == b"content"
    assert is_private(status)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_write_that_fails_changes_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_private_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)  # where a full disk shows at the latest
    with pytest.raises(OSError, match="No space"):
        write_private_file(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "file", []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, path.exists())))
    write_private_file(path, b"content")
    assert synced == [(7, False)]


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_only_regular_files_are_read_and_nobody_waits_for_others(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "strange"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    with pytest.raises(OSError, match=r"no regular file|Is a directory"):
        read_file(path)


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_file(path, 10)[0] == b"x" * 10


def test_a_stamp_changes_with_the_file_and_with_where_a_link_leads(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    assert file_stamp(path) is None
    other.write_text("one")
    path.symlink_to(other)
    stamps = [file_stamp(path)]
    other.write_text("longer")
    stamps.append(file_stamp(path))
    write_private_file(other, b"longer")
    stamps.append(file_stamp(path))
    assert len({None, *stamps}) == 4


def test_a_file_that_others_may_read_is_not_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private_file(path, b"")
    path.chmod(0o640)
    assert not is_private(path.stat())
