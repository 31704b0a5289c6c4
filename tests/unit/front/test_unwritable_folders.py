"""A root file system that cannot be written to, as containers may have."""

import os
from pathlib import Path

import pytest

from rds_iam_proxy.config import Listener
from rds_iam_proxy.files import write_private_file
from rds_iam_proxy.front.tls import local_tls
from rds_iam_proxy.net.address import Address

LISTENER = Listener(Address("127.0.0.1", 3306), "orders")


def test_certificate_of_local_tls_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    first = local_tls(LISTENER, tmp_path / "file" / "state")
    assert first is not None
    assert first.context.get_ca_certs() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    second = local_tls(LISTENER, tmp_path / "file" / "state")
    assert second is not None
    assert first.fingerprint == second.fingerprint, "it lives as long as the process"


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN CERTIFICATE-----\n", bytes(100)])
def test_a_damaged_certificate_is_made_anew(tmp_path: Path, content: bytes) -> None:
    write_private_file(tmp_path / "local-tls.pem", content)
    first = local_tls(LISTENER, tmp_path)
    assert first is not None
    second = local_tls(LISTENER, tmp_path)
    assert second is not None
    assert first.fingerprint == second.fingerprint, "it is kept"
    assert [path.name for path in tmp_path.iterdir()] == ["local-tls.pem"]


def test_a_fifo_in_the_certificates_place_holds_no_start_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "local-tls.pem", 0o600)
    assert local_tls(LISTENER, tmp_path) is not None


def test_a_full_disk_keeps_the_certificate_in_memory_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert local_tls(LISTENER, tmp_path) is not None
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == ["the certificate of local TLS cannot be kept; the next start makes another"]
