"""A listening socket that cannot accept."""

import logging

import pytest

from rds_iam_proxy.logs import UNTOLD_SECONDS
from rds_iam_proxy.net.accept import Acceptance


def test_failures_are_told_once_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    acceptance = Acceptance(now=lambda: now)
    times = []
    with caplog.at_level(logging.WARNING):
        for _ in range(1300):
            acceptance.failed(OSError(24, "Too many open files"))
            now += 0.1
        times = [record.rds_iam_proxy_fields["times"] for record in caplog.records]  # type: ignore[attr-defined]
    assert caplog.messages == ["cannot accept"] * 3
    assert times == [1, pytest.approx(UNTOLD_SECONDS * 10, abs=1), pytest.approx(UNTOLD_SECONDS * 10, abs=1)]
