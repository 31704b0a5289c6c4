"""Something changes while a session waits for its next client: that one finds what a new login would."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from e2e.conftest import running
from kit.aws_home import Home
from kit.forwarder import forwarder
from kit.running_proxy import PASSWORD, config_text, start_serve
from rds_iam_proxy.net.make_certificate import make_ca
from reuse.ground import Ground, session_id, value
from servers.fixtures import ServerPool
from servers.real_server import RealServer, start_server

PAST_FRESH = 0.4
"""Seconds after which a session is cleaned once more before it is lent."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server as a configuration has it: `running_proxy.Target`."""

    endpoint: str
    host: str
    port: int
    ca_file: Path


@contextlib.contextmanager
def _changed(server: RealServer, change: str, back: str) -> Iterator[None]:
    with server.admin() as admin, admin.cursor() as cursor:
        cursor.execute(change)
        try:
            yield
        finally:
            for statement in filter(None, back.split(";")):
                cursor.execute(statement)


@pytest.fixture(scope="module")
def shared(real_server: RealServer) -> Iterator[Ground]:
    """A proxy for all tests that leave it as it was."""
    with running(config_text(real_server, target="reuse = true"), key=real_server.key, dev_mode=False) as proxy:
        yield Ground(proxy, real_server)


@pytest.fixture
def parked(shared: Ground, request: pytest.FixtureRequest) -> tuple[Ground, int]:
    """A session waits, of a kind of its own; and its id."""
    return _parked(replace(shared, program=request.node.name))


def _parked(ground: Ground) -> tuple[Ground, int]:
    client = ground.connect()
    before = session_id(client)
    ground.leave(client)
    time.sleep(PAST_FRESH)
    return ground, before


def _found(ground: Ground, statement: str) -> object:
    try:
        client = ground.connect()
    except pymysql.err.OperationalError as exc:
        return exc.args[0]
    found = value(client, statement)
    ground.leave(client)
    return found


GIVEN_BACK = "GRANT ALL ON shop.* TO user_batch@'%'"


def test_nothing_changes(parked: tuple[Ground, int]) -> None:
    ground, before = parked
    assert _found(ground, "SELECT CONNECTION_ID()") == before


def test_rights_on_the_database_are_gone(parked: tuple[Ground, int]) -> None:
    ground, _ = parked
    with _changed(ground.server, "REVOKE ALL ON shop.* FROM user_batch@'%'", GIVEN_BACK):
        assert _found(ground, "SELECT 1") == 1044


def test_global_rights_are_gone(real_server: RealServer) -> None:
    with _changed(real_server, "GRANT SELECT ON *.* TO user_batch@'%'", "REVOKE SELECT ON *.* FROM user_batch@'%'"):
        text = config_text(real_server, target="reuse = true")
        with running(text, key=real_server.key, dev_mode=False) as proxy:
            ground, before = _parked(Ground(proxy, real_server))
            with _changed(
                real_server, "REVOKE SELECT ON *.* FROM user_batch@'%'", "GRANT SELECT ON *.* TO user_batch@'%'"
            ):
                client = ground.connect()
                assert session_id(client) != before
                assert value(client, "SELECT COUNT(*) FROM mysql.user") == "ERR 1142"
                ground.leave(client)


def test_the_user_is_dropped(parked: tuple[Ground, int]) -> None:
    ground, _ = parked
    again = f"CREATE USER user_batch@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS';{GIVEN_BACK}"
    with _changed(ground.server, "DROP USER user_batch@'%'", again):
        assert _found(ground, "SELECT 1") == 1045


@pytest.mark.parametrize(
    ("name", "other", "statement"),
    [
        ("time_zone", "'+05:00'", "SELECT @@time_zone"),
        ("sql_mode", "'ANSI_QUOTES'", "SELECT @@sql_mode"),
        ("group_concat_max_len", "4321", "SELECT @@group_concat_max_len"),  # not in what is compared
        ("read_only", "1", "SELECT @@read_only"),
    ],
)
def test_a_global_variable_is_another(parked: tuple[Ground, int], name: str, other: str, statement: str) -> None:
    ground, _ = parked
    with ground.server.admin() as admin:
        before = value(admin, f"SELECT @@GLOBAL.{name}")
    back = f"SET GLOBAL {name} = {before!r}"
    with _changed(ground.server, f"SET GLOBAL {name} = {other}", back):
        with ground.stranger() as new:
            expected = value(new, statement)
        assert expected != before
        assert _found(ground, statement) == expected


def test_the_session_is_killed_by_a_dba(parked: tuple[Ground, int]) -> None:
    ground, before = parked
    with ground.server.admin() as admin:
        value(admin, f"KILL {before}")
    assert _found(ground, "SELECT CONNECTION_ID()") not in (before, None)


def test_a_refused_login_of_the_user_empties_its_pool(parked: tuple[Ground, int]) -> None:
    ground, before = parked
    with _changed(ground.server, "ALTER USER user_batch@'%' ACCOUNT LOCK", "ALTER USER user_batch@'%' ACCOUNT UNLOCK"):
        with pytest.raises(pymysql.err.OperationalError):
            ground.stranger()  # needs a new login
        with pytest.raises(pymysql.err.OperationalError):
            ground.connect()  # would have been lent the session, else
    assert _found(ground, "SELECT CONNECTION_ID()") != before


@pytest.mark.parametrize("name", ["mysql-9.7", "mariadb-10.11"])
def test_the_server_is_restarted(name: str, server_pool: ServerPool[RealServer]) -> None:
    server_pool.get(name)  # skips, or fails in CI, where it cannot be had
    server = start_server(name)
    try:
        with running(config_text(server, target="reuse = true"), key=server.key, dev_mode=False) as proxy:
            ground, _ = _parked(Ground(proxy, server))
            server.restart()
            assert _found(ground, "SELECT COUNT(*) > 0 FROM customers") == 1
            assert [each["reused"] for each in proxy.events("session ended")] == [0, 0]
    finally:
        server.stop()


def test_local_credentials_are_withdrawn(mysql_9_7: RealServer, tmp_path: Path) -> None:
    Home(tmp_path).credentials(default=mysql_9_7.key)
    with running(config_text(mysql_9_7, target="reuse = true"), home=tmp_path, dev_mode=False) as proxy:
        ground, before = _parked(Ground(proxy, mysql_9_7))
        (tmp_path / "aws-credentials").unlink()
        with pytest.raises(pymysql.err.OperationalError, match="no AWS credentials found"):
            ground.connect()
        _until(lambda: before not in _ids(mysql_9_7))


def test_rds_is_out_of_reach_for_new_logins(mysql_9_7: RealServer) -> None:
    """What waits is not lent while nobody could log in: it may be on a machine that is on its way out."""
    with forwarder((mysql_9_7.host, mysql_9_7.port)) as way, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        there = Place(mysql_9_7.endpoint, "127.0.0.1", way.port, mysql_9_7.ca_file)
        text = config_text(there, target="reuse = true\nreuse_idle = 100")
        with running(text, key=mysql_9_7.key, dev_mode=False) as proxy:
            ground, before = _parked(Ground(proxy, mysql_9_7))
            way.to = nobody.getsockname()
            for _ in range(5):
                with pytest.raises(pymysql.err.OperationalError):
                    ground.stranger()
            _until(lambda: before not in _ids(mysql_9_7))
            with pytest.raises(pymysql.err.OperationalError):
                ground.connect()


def test_a_reload_with_another_ca_closes_what_waits(mysql_9_7: RealServer, tmp_path: Path) -> None:
    ca_file, path = tmp_path / "ca.pem", tmp_path / "proxy.toml"
    ca_file.write_bytes(mysql_9_7.ca.certificate_pem)
    there = Place(mysql_9_7.endpoint, mysql_9_7.host, mysql_9_7.port, ca_file)
    path.write_text(config_text(there, target="reuse = true\nreuse_idle = 100"))
    with start_serve(["--config", str(path)], key=mysql_9_7.key) as proxy:
        ground, before = _parked(Ground(proxy, mysql_9_7))
        ca_file.write_bytes(make_ca("CA of somebody else").certificate_pem)
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for("reloaded")
        _until(lambda: before not in _ids(mysql_9_7))
        with pytest.raises(pymysql.err.OperationalError, match="certificate"):
            ground.connect()


def test_sessions_that_wait_are_gone_when_the_proxy_drains(real_server: RealServer) -> None:
    with running(config_text(real_server, target="reuse = true"), key=real_server.key, dev_mode=False) as proxy:
        ground, before = _parked(Ground(proxy, real_server))
        client = ground.stranger()
        value(client, "SELECT 1")
        proxy.process.send_signal(signal.SIGTERM)
        _until(lambda: before not in _ids(ground.server))
        client.close()


def test_a_kill_that_named_a_session_keeps_it_from_the_next_client(parked: tuple[Ground, int]) -> None:
    ground, _ = parked
    victim, other = ground.connect(), ground.connect()
    before, name = session_id(victim), int(victim.__dict__["server_thread_id"][0])
    value(other, f"KILL QUERY {name}")
    ground.leave(victim)
    client = ground.connect()
    assert session_id(client) != before
    assert str(value(other, f"KILL QUERY {name}")) in ("ERR 1094", "None")  # nobody's now
    for each in (client, other):
        ground.leave(each)


def test_sixty_clients_one_after_another_make_one_connection(parked: tuple[Ground, int]) -> None:
    ground, before = parked
    with ground.server.admin() as admin:
        made = _connections(admin)
        assert {_found(ground, "SELECT CONNECTION_ID()") for _ in range(60)} == {before}
        assert _connections(admin) == made


def test_php_s_persistent_connections_get_their_session_back(parked: tuple[Ground, int]) -> None:
    """COM_CHANGE_USER for the same kind of client: no login at RDS, and a clean session."""
    ground, _ = parked
    client = ground.connect(program_name="")
    raw: Any = client
    ids = []
    with ground.server.admin() as admin:
        for _ in range(4):
            ids.append(session_id(client))
            value(client, "SET @a = 5")
            made = _connections(admin)
            _change_user(raw)
            assert value(client, "SELECT @a") is None
    assert ids[-1] == ids[-2]
    with ground.server.admin() as admin:
        assert _connections(admin) == made + 1  # the admin's own
    ground.leave(client)


def _allow_several_statements(raw: Any) -> None:
    """No reset of a server undoes it, and no query shows it."""
    raw._execute_command(0x1B, b"\0\0")
    raw._read_packet()


def test_an_option_that_no_reset_undoes_is_not_handed_on_by_another_login(parked: tuple[Ground, int]) -> None:
    ground, _ = parked
    client: Any = ground.connect(program_name="")
    _change_user(client)  # of the kind of those that do so
    _allow_several_statements(client)
    before = session_id(client)
    _change_user(client)
    assert session_id(client) != before
    assert value(client, "SELECT 1; SELECT 2") == "ERR 1064"
    ground.leave(client)


def test_an_option_that_no_reset_undoes_outlives_a_refused_login(parked: tuple[Ground, int]) -> None:
    """MariaDB goes on with the session then, MySQL ends it."""
    ground, before = parked
    client: Any = ground.connect()
    assert session_id(client) == before
    _allow_several_statements(client)
    with pytest.raises(pymysql.err.OperationalError):
        _change_user(client, b"nobody")
    with contextlib.suppress(pymysql.err.Error):
        value(client, "SELECT 1")
    client.close()
    time.sleep(PAST_FRESH)
    other = ground.connect()
    assert session_id(other) != before
    assert value(other, "SELECT 1; SELECT 2") == "ERR 1064"
    ground.leave(other)


def test_a_kill_by_rds_s_own_id_keeps_a_session_from_the_next_client(parked: tuple[Ground, int]) -> None:
    ground, before = parked
    victim, other = ground.connect(), ground.connect()
    assert session_id(victim) == before
    value(other, f"KILL QUERY {before}")
    ground.leave(victim)
    client = ground.connect()
    assert session_id(client) != before
    for each in (client, other):
        ground.leave(each)


def _change_user(raw: Any, name: bytes = b"legacy_app") -> None:
    """As mysqlnd does: with the names, then the answer to a new nonce."""
    user, database = name + b"\0", b"shop\0"
    raw._execute_command(0x11, user + b"\0" + database + b"\x2d\0" + b"mysql_native_password\0" + b"\0")
    answer = raw._read_packet()
    if answer.is_auth_switch_request():
        answer.read_uint8()
        name = answer.read_string()
        raw._process_auth(name, answer)


def _connections(admin: Any) -> int:
    with admin.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
        return int(cursor.fetchone()[1])


def _ids(server: RealServer) -> set[int]:
    with server.admin() as admin, admin.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist")
        return {row[0] for row in cursor.fetchall()}


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_reload_with_another_password_closes_what_waits(real_server: RealServer, tmp_path: Path) -> None:
    password, path = tmp_path / "password", tmp_path / "proxy.toml"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    text = config_text(real_server, target="reuse = true")
    path.write_text(text.replace('password_env = "LEGACY_APP_PASSWORD"', f'password_file = "{password}"'))
    with start_serve(["--config", str(path)], key=real_server.key) as proxy:
        ground = Ground(proxy, real_server)
        client = ground.connect()
        before = session_id(client)
        ground.leave(client)
        password.write_text("another one that is long")
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for("reloaded")
        _until(lambda: before not in _ids(real_server))
        proxy.password = "another one that is long"
        client = ground.connect()
        assert session_id(client) != before
        ground.leave(client)
