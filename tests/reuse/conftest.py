"""Fixtures: a proxy that lends sessions, in front of each server, whose user may do nearly everything there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import running
from kit.running_proxy import config_text
from reuse.ground import Ground
from servers.real_server import RealServer

ROLES = ("clerk", "auditor")

ONE_KIND_EACH = {"mysql-9.7": "one end", "mariadb-10.11": "plain"}
"""With LONG_TESTS every server meets all, and streams of both kinds: one of each family does for most days."""

ON_EVERY_SERVER = "test_changes"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("LONG_TESTS"):
        return
    left_out = [item for item in items if not _is_usual(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if _is_usual(item)]


def _is_usual(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    if item.path.parent != Path(__file__).parent or item.path.stem == ON_EVERY_SERVER or call is None:
        return True
    kind = ONE_KIND_EACH.get(call.params["real_server"])
    return kind is not None and call.params.get("kind", kind) == kind


@pytest.fixture(scope="module")
def ground(real_server: RealServer) -> Iterator[Ground]:
    """Rights and tables are as they were afterwards."""
    with real_server.admin() as admin, admin.cursor() as cursor:
        cursor.execute("CREATE TABLE shop.stock (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
        cursor.execute("INSERT INTO shop.stock VALUES (5, 5), (7, 7)")
        for role in ROLES:
            cursor.execute(f"CREATE ROLE {role}")
            cursor.execute(f"GRANT {role} TO user_batch@'%'")
        cursor.execute("GRANT ALL ON *.* TO user_batch@'%'")
        cursor.execute("SELECT @@GLOBAL.interactive_timeout")
        interactive_timeout = cursor.fetchone()[0]
        cursor.execute("SET GLOBAL interactive_timeout = 4444")  # another than wait_timeout
        text = config_text(real_server, target="reuse = true")
        try:
            with running(text, key=real_server.key, dev_mode=False) as proxy:
                yield Ground(proxy, real_server)
        finally:
            cursor.execute(f"SET GLOBAL interactive_timeout = {interactive_timeout}")
            for role in ROLES:
                cursor.execute(f"DROP ROLE {role}")
            cursor.execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM user_batch@'%'")
            cursor.execute("GRANT ALL ON shop.* TO user_batch@'%'")
            cursor.execute("DROP TABLE shop.stock")
