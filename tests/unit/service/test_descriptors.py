"""How many descriptors the process gets where the system says no."""

import resource

import pytest

from rds_iam_proxy.front.slots import MAX_WAITING
from rds_iam_proxy.service.descriptors import MOST_DESCRIPTORS, RESERVED, room_for_clients, room_for_waiting


class Limits:
    """A system with a soft and a hard limit, and one that it keeps quiet about."""

    def __init__(self, soft: int, hard: int, most: int) -> None:
        self.soft, self.hard, self.most = soft, hard, most

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.soft, self.hard

    def setrlimit(self, _: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > self.most:
            raise ValueError("current limit exceeds maximum limit")
        self.soft = wanted[0]


@pytest.fixture
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Limits:
    limits = Limits(*request.param)
    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)
    return limits


@pytest.mark.parametrize(
    ("limits", "soft"),
    [
        ((1024, 4096, 4096), 4096),
        ((256, resource.RLIM_INFINITY, 61_440), MOST_DESCRIPTORS // 2),  # macOS
        ((256, resource.RLIM_INFINITY, 10_240), 8192),  # older ones
        ((1024, 1024, 1024), 1024),
        ((1024, 4096, 1024), 1024),
        ((100_000, resource.RLIM_INFINITY, 100_000), 100_000),
    ],
    indirect=["limits"],
)
def test_limit_is_raised_as_far_as_the_system_lets(limits: Limits, soft: int) -> None:
    assert room_for_clients(10) == (soft - RESERVED) // 2
    assert limits.soft == soft


def test_who_waits_leaves_room_for_those_who_are_in() -> None:
    assert room_for_waiting(100_000) == MAX_WAITING
    assert room_for_waiting(480) == 120
