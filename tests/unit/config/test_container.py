from collections.abc import Mapping
from pathlib import Path

import pytest

from rds_iam_proxy.config import Listener
from rds_iam_proxy.config.container import loopback_reaches_nobody
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.sockets import Bind


@pytest.mark.parametrize(
    ("bind", "environ", "has_mark", "expected"),
    [
        (Address("127.0.0.1", 3306), {}, True, True),
        (Address("127.0.0.1", 3306), {"container": "podman"}, False, True),
        (Address("127.0.0.1", 3306), {}, False, False),
        (Address("0.0.0.0", 3306), {}, True, False),
        (Path("/run/mysql.sock"), {}, True, False),
        (Address("::1", 3306), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True, False),
        (Address("127.0.0.1", 3306), {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4"}, True, False),
    ],
)
def test_loopback_of_a_container_is_its_own(
    tmp_path: Path, bind: Bind, environ: Mapping[str, str], has_mark: bool, expected: bool
) -> None:
    mark = tmp_path / ".dockerenv"
    if has_mark:
        mark.touch()
    assert loopback_reaches_nobody([Listener(bind, "orders")], environ, [str(mark)]) == expected
