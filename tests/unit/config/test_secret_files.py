"""Who may be able to read a secret: the owner, and a group of this process where root or this process owns the file."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rds_iam_proxy.config.surroundings import Surroundings, exposure, read_secret

OURS, ROOT, STRANGER = 10_001, 0, 10_002


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the container image."""
    monkeypatch.setattr(os, "geteuid", lambda: OURS)
    monkeypatch.setattr(os, "getegid", lambda: OURS)
    monkeypatch.setattr(os, "getgroups", lambda: [OURS, 2000])
    return (yield)


def status(mode: int, uid: int, gid: int) -> os.stat_result:
    return os.stat_result((0o100000 | mode, 0, 0, 1, uid, gid, 6, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "is_fine"),
    [
        (0o600, OURS, OURS, True),
        (0o400, ROOT, ROOT, True),
        (0o600, STRANGER, STRANGER, True),
        (0o440, ROOT, OURS, True),
        (0o640, ROOT, 2000, True),
        (0o440, OURS, OURS, True),
        (0o440, STRANGER, OURS, False),
        (0o440, ROOT, ROOT, False),
        (0o440, ROOT, STRANGER, False),
        (0o460, ROOT, OURS, False),
        (0o620, ROOT, OURS, False),
        (0o444, ROOT, OURS, False),
        (0o604, OURS, OURS, False),
        (0o602, OURS, OURS, False),
    ],
)
def test_who_may_read_a_secret(mode: int, uid: int, gid: int, is_fine: bool) -> None:
    fault = exposure(status(mode, uid, gid), Path("/secret"), Surroundings({}, Path()))
    assert (fault is None) == is_fine
    assert fault is None or f"mode {mode:04o}" in fault


def test_secret_of_somebody_else_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: object, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret").touch(mode=0o400)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(ValueError, match="Permission denied") as caught:
        read_secret(Path("secret"), Surroundings({}, tmp_path))
    assert "(mode 0400, user " in str(caught.value)
    assert f"this process is user {OURS}, group {OURS}): chown it; in Kubernetes set securityContext.fsGroup" in str(
        caught.value
    )
    assert str(tmp_path) not in str(caught.value)
