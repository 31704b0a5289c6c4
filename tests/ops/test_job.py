"""`run`: one command with a proxy of its own; with the stock clients, as they come."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.running_proxy import MODULE, clean_environment
from ops.test_stop import wait_until_running
from rds_iam_proxy.commands.grants import grants
from rds_iam_proxy.net.address import Address
from servers.real_server import RealServer
from servers.trees import cli_command
from test_cancel import Terminal

STOCK = shutil.which("mysql") or "mysql"
STOCK_DUMP = shutil.which("mysqldump") or "mysqldump"
ENDPOINT = Address("test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com", 3306)


def run_command(server: RealServer, *command: str, flags: tuple[str, ...] = ()) -> list[str]:
    """The command line; `command` may be of flags of `run`, two dashes and the command."""
    where = ["--dial", f"{server.host}:{server.port}", "--ca-file", str(server.ca_file), "--db-user", "user_batch"]
    return [sys.executable, *MODULE, "run", server.endpoint, *where, *flags, "--", *command]


def run(
    server: RealServer, folder: Path, *command: str, flags: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    environment = clean_environment(folder, server.key)
    line = run_command(server, *command, flags=flags)
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)


def variables(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_stock_client_connects_as_whoever_it_is(mysql_9_7: RealServer, tmp_path: Path) -> None:
    done = run(mysql_9_7, tmp_path, STOCK, "--no-defaults", "-N", "-e", "SELECT CURRENT_USER(), 6 * 7")
    assert (done.returncode, done.stdout, done.stderr) == (0, "user_batch@%\t42\n", "")


@pytest.mark.parametrize("client", ["mysql-9.7", "mariadb-11.8"])
def test_clients_of_today_connect_by_the_port_of_the_environment(
    real_server: RealServer, tmp_path: Path, client: str
) -> None:
    command = [*cli_command(client), "--no-defaults", "--protocol=TCP", "-N", "-e", "SELECT CURRENT_USER()"]
    done = run(real_server, tmp_path, *command)
    assert (done.returncode, done.stdout) == (0, "user_batch@%\n"), done.stderr


@pytest.mark.parametrize("dump", ["stock", "mysql-9.7"])
def test_mysqldump_writes_everything(mysql_9_7: RealServer, tmp_path: Path, dump: str) -> None:
    command = [STOCK_DUMP] if dump == "stock" else [*cli_command(dump)[:-1], "mysqldump"]
    protocol = [] if dump == "stock" else ["--protocol=TCP", "--set-gtid-purged=OFF"]
    options = ["--no-defaults", *protocol, "--no-tablespaces", "--single-transaction", "shop"]
    done = run(mysql_9_7, tmp_path, *command, *options)
    assert done.returncode == 0, done.stderr
    assert "(1,'Ada'),(2,'Grace'),(3,'Zoë')" in done.stdout.replace("),\n(", "),(")
    assert "Dump completed" in done.stdout


def test_command_is_told_where_to_connect_and_nobody_else(mysql_9_7: RealServer, tmp_path: Path) -> None:
    script = 'env; stat -c "mode=%a" "$(dirname "$APP_SOCKET")"'
    done = run(mysql_9_7, tmp_path, "sh", "-c", script, flags=("--env-prefix", "APP_"))
    told = variables(done.stdout)
    assert told["APP_HOST"] == "127.0.0.1"
    assert told["APP_USER"] == "user_batch"
    assert told["APP_PORT"] == told["MYSQL_TCP_PORT"]
    assert told["APP_SOCKET"] == told["MYSQL_UNIX_PORT"]
    assert told["APP_PASSWORD"] == told["MYSQL_PWD"]
    assert len(told["APP_PASSWORD"]) == 24
    assert told["APP_PASSWORD"].isalnum()
    assert told["mode"] == "700"
    assert not os.path.exists(told["APP_SOCKET"])
    assert told["APP_PASSWORD"] not in done.stderr
    again = variables(run(mysql_9_7, tmp_path, "env").stdout)
    assert again["DB_PASSWORD"] != told["APP_PASSWORD"]


def test_exit_code_is_the_commands(mysql_9_7: RealServer, tmp_path: Path) -> None:
    assert run(mysql_9_7, tmp_path, "sh", "-c", "exit 7").returncode == 7
    failing = run(mysql_9_7, tmp_path, STOCK, "--no-defaults", "-e", "SELECT nonsense")
    assert failing.returncode == 1
    assert "ERROR 1054" in failing.stderr
    assert run(mysql_9_7, tmp_path, "sh", "-c", "kill -9 $$").returncode == 137
    missing = run(mysql_9_7, tmp_path, "no-such-command")
    assert missing.returncode == 127
    assert missing.stderr == "rds-iam-proxy: cannot run no-such-command: No such file or directory\n"
    assert run(mysql_9_7, tmp_path, "/etc/passwd").returncode == 126


def test_wrong_password_and_any_other_user_name(mysql_9_7: RealServer, tmp_path: Path) -> None:
    wrong = run(mysql_9_7, tmp_path, "sh", "-c", f"MYSQL_PWD=guessed {STOCK} --no-defaults -e 'DO 1'")
    assert wrong.returncode == 1
    assert "ERROR 1045" in wrong.stderr
    other = run(mysql_9_7, tmp_path, STOCK, "--no-defaults", "-u", "somebody", "-e", "DO 1")
    assert (other.returncode, other.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_are_passed_on(mysql_9_7: RealServer, tmp_path: Path, number: signal.Signals) -> None:
    """Without a terminal SIGINT too: nobody else has sent it to the command."""
    script = f"trap 'echo caught; exit 5' {number.name.removeprefix('SIG')}; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        run_command(mysql_9_7, "sh", "-c", script),
        env=clean_environment(tmp_path, mysql_9_7.key),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "caught\n"
        assert process.wait(20) == 5


def test_ctrl_c_at_the_terminal_reaches_the_client_once_and_cancels_its_query(
    mysql_9_7: RealServer, tmp_path: Path
) -> None:
    environment = clean_environment(tmp_path, mysql_9_7.key) | {"TERM": "dumb"}
    command = ["env", "-i", *(f"{name}={value}" for name, value in environment.items())]
    command += run_command(mysql_9_7, STOCK, "--no-defaults")
    with contextlib.closing(Terminal(command)) as terminal:
        terminal.wait_for("> ")
        terminal.type("SELECT SLEEP(60);\n")
        wait_until_running(mysql_9_7, "SELECT SLEEP(60)")
        began = time.monotonic()
        terminal.type("\x03")
        while not ("sec)" in terminal.screen or "1317" in terminal.screen):
            assert time.monotonic() - began < 5, terminal.screen
            time.sleep(0.01)
        terminal.type("SELECT 40 + 2;\n")
        terminal.wait_for("42")
        assert "Aborted" not in terminal.screen
        terminal.type("exit\n")
        terminal.wait_for("Bye")


def test_what_the_command_left_running_is_drained(mysql_9_7: RealServer, tmp_path: Path) -> None:
    result = tmp_path / "result"
    client = f"{STOCK} --no-defaults -N -e 'SELECT SLEEP(3), 42' > {result}"
    script = f"{client} & while ! {STOCK} --no-defaults -N -e 'SHOW PROCESSLIST' | grep -q SLEEP; do :; done; exit 3"
    done = run(mysql_9_7, tmp_path, "sh", "-c", script)
    assert (done.returncode, result.read_text()) == (3, "0\t42\n")


def test_faults_of_flags_are_told_before_anything_runs(mysql_9_7: RealServer, tmp_path: Path) -> None:
    line = [sys.executable, *MODULE, "run", "localhost", "--", "touch", str(tmp_path / "ran")]
    environment = clean_environment(tmp_path, None)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--db-user: required" in done.stderr
    assert not (tmp_path / "ran").exists()


# --- grants ---


def test_grants_for_an_instance() -> None:
    text = grants(ENDPOINT, "app", region=None, account="123456789012", resource="db-ABCDEFGH")
    assert "CREATE USER 'app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;" in text
    assert '"arn:aws:rds-db:ap-northeast-2:123456789012:dbuser:db-ABCDEFGH/app"' in text
    assert "aws sts" not in text


@pytest.mark.parametrize(
    ("host", "resource"),
    [
        (ENDPOINT.host, "arn:aws:rds-db:ap-northeast-2:ACCOUNT:dbuser:RESOURCE_ID/app"),
        (
            "shop.cluster-ro-cweacjg5pv9n.eu-west-1.rds.amazonaws.com",
            "arn:aws:rds-db:eu-west-1:ACCOUNT:dbuser:RESOURCE_ID/app",
        ),
        (
            "shop.proxy-cweacjg5pv9n.eu-west-1.rds.amazonaws.com",
            "arn:aws:rds-db:eu-west-1:ACCOUNT:dbuser:RESOURCE_ID/app",
        ),
        (
            "shop.cweacjg5pv9n.rds.cn-north-1.amazonaws.com.cn",
            "arn:aws-cn:rds-db:cn-north-1:ACCOUNT:dbuser:RESOURCE_ID/app",
        ),
        (
            "shop.global-cweacjg5pv9n.global.rds.amazonaws.com",
            "arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE_ID/app",
        ),
    ],
)
def test_grants_of_each_kind_name_what_is_missing(host: str, resource: str) -> None:
    text = grants(Address(host, 3306), "app", region=None, account=None, resource=None)
    assert f'"{resource}"' in text
    assert "-- ACCOUNT: aws sts get-caller-identity" in text
    assert "-- RESOURCE_ID: aws rds describe-" in text
    assert ("-- REGION:" in text) is ("REGION" in resource.split(":")[3])


def test_grants_quote_the_name_for_sql() -> None:
    assert "CREATE USER 'o''hara'@'%'" in grants(ENDPOINT, "o'hara", region=None, account=None, resource=None)
    with pytest.raises(ValueError, match="backslash"):
        grants(ENDPOINT, "a\\b", region=None, account=None, resource=None)


def test_created_user_can_log_in(real_server: RealServer, tmp_path: Path) -> None:
    """The statement as it is printed, on each server."""
    text = grants(ENDPOINT, "o'hara", region=None, account=None, resource=None)
    statement = next(line for line in text.splitlines() if line.startswith("CREATE USER"))
    with contextlib.closing(real_server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute(statement.removesuffix(";"))
        try:
            flags = ("--db-user", "o'hara")
            done = run(real_server, tmp_path, STOCK, "--no-defaults", "-N", "-e", "SELECT CURRENT_USER()", flags=flags)
            assert (done.returncode, done.stdout) == (0, "o'hara@%\n")
        finally:
            cursor.execute("DROP USER 'o''hara'@'%'")
