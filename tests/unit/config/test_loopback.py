from collections.abc import Mapping
from pathlib import Path

import pytest

from rds_iam_proxy.config import Listener
from rds_iam_proxy.config.loopback import loopback_reaches_nobody
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.sockets import Bind

PODMAN = {"container": "podman"}


@pytest.mark.parametrize(
    ("bind", "environ", "expected"),
    [
        (Address("127.0.0.1", 3306), PODMAN, True),
        (Address("0.0.0.0", 3306), PODMAN, False),
        (Path("/run/mysql.sock"), PODMAN, False),
        (Address("::1", 3306), {**PODMAN, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
        (Address("127.0.0.1", 3306), {**PODMAN, "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4"}, False),
    ],
)
def test_loopback_of_a_container_is_its_own(bind: Bind, environ: Mapping[str, str], expected: bool) -> None:
    assert loopback_reaches_nobody([Listener(bind, "orders")], environ) == expected
