"""Fixtures: a proxy that lends sessions, in front of each server, whose user may do nearly everything there."""

from collections.abc import Iterator

import pytest

from e2e.conftest import running
from reuse.ground import Ground
from running_proxy import config_text
from servers.real_server import RealServer

ROLES = ("clerk", "auditor")


@pytest.fixture(scope="package")
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
