"""A root file system that cannot be written to, as containers may have."""

from pathlib import Path

import pytest

from rds_iam_proxy.config import Listener
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
    assert first.fingerprint != second.fingerprint, "it lives as long as the process"
