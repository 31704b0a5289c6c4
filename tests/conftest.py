"""Fixtures of all tests, and their order where several workers share them."""

import pytest
from hypothesis import HealthCheck, settings

from servers.fixtures import *  # noqa: F403 - pytest finds fixtures by their names here

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
"""Properties count work where they bound it: a clock would measure how busy the machine is."""

LONGEST_FIRST = ("conformance", "test_bench", "test_packaging", "explain", "e2e", "admin", "ops", "aws")
"""Files and folders by how long they take: the workers end at about the same time when the long ones begin."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of LONGEST_FIRST; what is not named comes last, in its own order."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    parts = item.nodeid.partition("::")[0].removesuffix(".py").split("/")
    return next((place for place, name in enumerate(LONGEST_FIRST) if name in parts), len(LONGEST_FIRST))
