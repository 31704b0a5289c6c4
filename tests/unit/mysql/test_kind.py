"""Which logins lead to the same session."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rds_iam_proxy.config import Account
from rds_iam_proxy.front.arrival import Arrival
from rds_iam_proxy.front.shared import Shared
from rds_iam_proxy.mysql.front_login import MySQLFront
from rds_iam_proxy.mysql.greeter import Greeter
from rds_iam_proxy.net.address import Address


@pytest.mark.parametrize(
    ("host", "is_lent"),
    [
        ("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", True),
        ("shop.cluster-ro-cweacjg5pv9n.eu-central-1.rds.amazonaws.com", True),
        ("shop.proxy-cweacjg5pv9n.eu-central-1.rds.amazonaws.com", False),
        ("reader.endpoint.proxy-cweacjg5pv9n.eu-central-1.rds.amazonaws.com", False),
    ],
)
def test_sessions_of_an_rds_proxy_are_not_lent(host: str, is_lent: bool) -> None:
    greeter = Greeter(Address(host, 3306), cast(Any, None), cast(Any, None))
    arrival = cast(Arrival, SimpleNamespace(stream=None, id=7, target="shop", tls=None))
    front = MySQLFront(greeter, arrival, cast(Shared, None))
    assert (front.order(Account("app", (), "user_app")).kind is not None) == is_lent
