"""Where tunnels are entered, and how long to wait between two."""

import os
from pathlib import Path

import pytest

from rds_iam_proxy.config import SSHTunnel, SSMTunnel
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.sockets import MAX_SOCKET_PATH, folder_for
from rds_iam_proxy.rds.tunnel import place
from rds_iam_proxy.rds.tunnel.backoff import PAUSES_SECONDS, STEADY_SECONDS, Backoff
from rds_iam_proxy.rds.tunnel.place import near_end

SSH = SSHTunnel("bastion")


def test_ssh_has_a_socket_in_a_folder_of_its_own() -> None:
    near = near_end(SSH, {"XDG_RUNTIME_DIR": "/tmp"})
    assert isinstance(near, Path)
    try:
        assert near.parent.stat().st_mode & 0o777 == 0o700
        assert list(near.parent.iterdir()) == []
    finally:
        near.parent.rmdir()


def test_windows_has_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "has_unix_sockets", lambda: False)
    near = near_end(SSH, {"TMPDIR": "/tmp"})
    assert isinstance(near, Address)
    assert near.host == "127.0.0.1"
    assert near.port > 1023


def test_macos_with_folders_of_long_names_has_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != "/tmp")
    long = tmp_path / ("x" * MAX_SOCKET_PATH)
    long.mkdir()
    assert isinstance(near_end(SSH, {"TMPDIR": str(long)}), Address)


def test_session_manager_has_a_port() -> None:
    assert isinstance(near_end(SSMTunnel("i-0123456789abcdef0"), {}), Address)


def test_folder_leaves_room_for_the_name() -> None:
    assert folder_for("s", {}) == "/tmp"
    assert folder_for("x" * MAX_SOCKET_PATH, {}) is None


def test_pauses_grow_and_end_with_a_tunnel_that_was_steady() -> None:
    backoff = Backoff()
    assert [backoff.after(0) for _ in PAUSES_SECONDS] == list(PAUSES_SECONDS)
    assert backoff.after(5) == PAUSES_SECONDS[-1]
    assert backoff.after(STEADY_SECONDS) == PAUSES_SECONDS[0]
    assert backoff.after(0) == PAUSES_SECONDS[1]
