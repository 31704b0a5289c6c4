"""What the tests of the admin address share."""

from collections.abc import Iterator

import pytest

from kit.admin import running_rds
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS


@pytest.fixture(scope="module")
def rds() -> Iterator[EmbeddedRDS]:
    """One for a whole module, so it must stay as it is; a module that stops it has its own."""
    with running_rds() as started:
        yield started
