import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rds_iam_proxy
from mysql_wire.passwords import Verifier
from rds_iam_proxy import __main__
from rds_iam_proxy.cli import app as cli
from rds_iam_proxy.cli.programs import OnReady, Programs
from rds_iam_proxy.commands.connect_lines import connect_lines
from rds_iam_proxy.commands.hash_password import hash_password
from rds_iam_proxy.config import Config, Engine
from rds_iam_proxy.config.password import PasswordHash, random_password
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.logs import flush
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.service.lifecycle import Lifecycle

ENDPOINT = "test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com"
GLOBAL = "test.global-cweacjg5pv9n.global.rds.amazonaws.com"
PASSWORD = "correct horse battery"
PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
FILE = f"""
drain_timeout = 4
[targets.orders]
endpoint = "{ENDPOINT}"
[[listeners]]
bind = "127.0.0.1:3307"
target = "orders"
[[accounts]]
user = "app"
password_env = "APP_PASSWORD"
[log]
format = "json"
level = "warning"
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Started:
    """Takes the place of what the commands start, and remembers what it was told."""

    def __init__(self, *, code: int = 0, error: BaseException | None = None) -> None:
        self.config: Config | None = None
        self.lifecycle: Lifecycle | None = None
        self.demo: tuple[Address | None, bool] | None = None
        self.code = code
        self.error = error
        self.programs = Programs(self._serve, self._demo)

    def _serve(self, config: Config, *, on_ready: OnReady, lifecycle: Lifecycle) -> int:
        self.config, self.lifecycle = config, lifecycle
        if self.error:
            raise self.error
        on_ready((Address("127.0.0.1", 40123),))
        return self.code

    def _demo(self, listen: Address | None, once: bool, engine: Engine) -> int:
        assert engine == "mysql"
        self.demo = (listen, once)
        return self.code


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in os.environ:
        if name.startswith("RDS_IAM_PROXY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("APP_PASSWORD", PASSWORD)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")  # these tests may run in a container
    monkeypatch.chdir(tmp_path)
    (tmp_path / "proxy.toml").write_text(FILE)
    (tmp_path / "roots.pem").write_text(PEM)
    root, ours = logging.getLogger(), logging.getLogger("rds_iam_proxy")
    before = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def serve(*args: str) -> Config:
    started = Started()
    assert cli.run(["serve", *args], started.programs) == 0
    assert started.config is not None
    return started.config


def value_of(config: Config, key: str) -> object:
    (target,), (listener,), (account,) = config.targets.values(), config.listeners, config.accounts
    values: dict[str, object] = {
        "listen": str(listener.bind),
        "db_user": account.db_user,
        "user": account.user,
        "dial": str(target.dial),
        "region": target.region,
        "profile": target.profile,
        "ca_file": target.ca_file and str(target.ca_file),
        "logins_per_second": target.logins_per_second,
        "max_sessions": target.max_sessions,
        "drain_timeout": config.drain_timeout,
        "log_format": config.log.format,
        "log_level": config.log.level,
    }
    return values[key]


VALUES = [
    # flag, default, (text, value) from the variable, from the flag
    ("--listen", "127.0.0.1:3306", ("127.0.0.1:1", "127.0.0.1:1"), ("[::1]:2", "[::1]:2")),
    ("--db-user", "batch", ("one", "one"), ("two", "two")),
    ("--user", "batch", ("one", "one"), ("two", "two")),
    ("--dial", f"{GLOBAL}:3306", ("localhost:1", "localhost:1"), ("localhost", "localhost:3306")),
    ("--region", "eu-west-1", ("eu-west-2", "eu-west-2"), ("eu-west-3", "eu-west-3")),
    ("--profile", None, ("one", "one"), ("two", "two")),
    ("--ca-file", None, ("roots.pem", "roots.pem"), ("./roots.pem", "roots.pem")),
    ("--logins-per-second", 100.0, ("1", 1.0), ("2.5", 2.5)),
    ("--max-sessions", 500, ("1", 1), ("2", 2)),
    ("--drain-timeout", 30.0, ("1", 1.0), ("0", 0.0)),
    ("--log-format", None, ("json", "json"), ("text", "text")),
    ("--log-level", "info", ("error", "error"), ("debug", "debug")),
]


@pytest.mark.parametrize(("flag", "default", "variable", "given"), VALUES)
def test_flag_comes_before_variable_before_default(
    monkeypatch: pytest.MonkeyPatch,
    flag: str,
    default: object,
    variable: tuple[str, object],
    given: tuple[str, object],
) -> None:
    key = flag.removeprefix("--").replace("-", "_")
    required = {"--db-user": "batch", "--region": "eu-west-1", "--password-env": "APP_PASSWORD"}
    name = f"RDS_IAM_PROXY_{key.upper()}"

    def args(**more: str) -> list[str]:
        return [GLOBAL, *(part for pair in (required | more).items() for part in pair)]

    assert value_of(serve(*args()), key) == default
    monkeypatch.setenv(name, "")  # as compose files and units leave it: not given
    assert value_of(serve(*args()), key) == default
    monkeypatch.setenv(name, variable[0])
    assert value_of(serve(*args(**{flag: given[0]})), key) == given[1]
    required.pop(flag, None)
    assert value_of(serve(*args()), key) == variable[1]


@pytest.mark.parametrize("name", ["PASSWORD_ENV", "PASSWORD_FILE", "CONFIG"])
def test_variables_that_name_where_the_rest_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    value = {"PASSWORD_ENV": "APP_PASSWORD", "PASSWORD_FILE": "password", "CONFIG": "proxy.toml"}[name]
    monkeypatch.setenv(f"RDS_IAM_PROXY_{name}", value)
    config = serve() if name == "CONFIG" else serve(ENDPOINT, "--db-user", "batch")
    assert config.accounts[0].verifiers == (Verifier.of(PASSWORD.encode()),)


@pytest.mark.parametrize(
    ("key", "of_file", "variable", "flag"),
    [
        ("drain_timeout", 4.0, "5", "6"),
        ("log_format", "json", "text", "json"),
        ("log_level", "warning", "error", "info"),
    ],
)
def test_process_wide_flag_comes_before_variable_before_file(
    monkeypatch: pytest.MonkeyPatch, key: str, of_file: object, variable: str, flag: str
) -> None:
    def value(*args: str) -> object:
        return value_of(serve("--config", "proxy.toml", *args), key)

    assert value() == of_file
    monkeypatch.setenv(f"RDS_IAM_PROXY_{key.upper()}", variable)
    assert value() == (float(variable) if key == "drain_timeout" else variable)
    got = value("--" + key.replace("_", "-"), flag)
    assert got == (float(flag) if key == "drain_timeout" else flag)


def test_what_the_file_describes_is_refused_as_flag_and_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RDS_IAM_PROXY_PROFILE", "prod")
    started = Started()
    args = ["serve", ENDPOINT, "--config", "proxy.toml", "--dial", "x", "--log-level", "loud"]
    assert cli.run(args, started.programs) == 2
    assert started.config is None
    assert capsys.readouterr().err.splitlines() == [
        "rds-iam-proxy: 2 faults:",
        "  ENDPOINT, --dial, RDS_IAM_PROXY_PROFILE: not possible together with the configuration file proxy.toml,"
        " which describes targets, listeners and accounts; leave out either",
        "  --log-level: must be one of debug, info, warning, error",
    ]


def test_all_faults_of_the_flags_are_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["serve", "db.example.com", "--listen", "0.0.0.0:1", "--max-sessions", "x", "--password-env", "NOT_SET"]
    assert cli.run(args, Started().programs) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "rds-iam-proxy: 5 faults:"
    assert sorted(line.strip().partition(":")[0] for line in lines[1:]) == [
        "--db-user", "--listen", "--max-sessions", "--password-env", "ENDPOINT",
    ]  # fmt: skip


def test_single_fault_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["serve", ENDPOINT, "--db-user", "x\ny\x1b", "--password-env", "NOT_SET"]
    assert cli.run(args, Started().programs) == 2
    assert capsys.readouterr().err == (
        "rds-iam-proxy: --password-env: the environment variable NOT_SET is not set; set it to the password\n"
    )


@pytest.mark.parametrize(
    "args",
    [
        ["serve", ENDPOINT, "--bogus", "x"],
        ["serve", ENDPOINT, "again"],
        ["serve", ENDPOINT, "--dial"],
        ["bogus"],
        ["--bogus"],
        [],
        ["hash-password", "x"],
        ["demo", "--listen", "0.0.0.0:3306"],
        ["demo", "--listen", "x:y:z"],
    ],
)
def test_bad_command_line_ends_with_2_and_plain_text(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(args, Started().programs) == 2
    out, err = capsys.readouterr()
    assert out + err
    assert not set(out + err) & set("╭│╰\x1b")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "args",
    [
        ["--password", "s3cret"],
        ["--password=s3cret"],
        ["--passwd=s3cret"],
        ["-ps3cret"],
        ["--password-env", "s3cret"],
        ["--password-file", "s3cret"],
    ],
)
def test_password_in_the_command_line_is_refused_and_not_repeated(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["serve", ENDPOINT, "--db-user", "batch", *args], Started().programs) == 2
    out, err = capsys.readouterr()
    assert "s3cret" not in out + err
    assert "password" in err or "-p" in err


def test_password_flag_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["serve", ENDPOINT, "--password", "s3cret"], Started().programs) == 2
    err = capsys.readouterr().err
    assert err.startswith("rds-iam-proxy: --password: there is no such flag")
    assert "--password-env" in err
    assert "--password-file" in err


def test_without_a_terminal_a_password_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["serve", ENDPOINT, "--db-user", "batch"], Started().programs) == 2
    assert capsys.readouterr().err == "rds-iam-proxy: no password: give --password-env or --password-file\n"


def test_on_a_terminal_a_password_is_made_and_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    started = Started()
    assert cli.run(["serve", ENDPOINT, "--db-user", "my batch"], started.programs) == 0
    assert flush(20)
    assert started.config is not None
    text = terminal.getvalue()
    (password,) = re.findall(r"^  ([A-Za-z0-9]{24})$", text, re.MULTILINE)
    assert started.config.accounts[0].verifiers == (Verifier.of(password.encode()),)
    assert text.count(password) == 1
    assert "mysql -h 127.0.0.1 -P 40123 -u 'my batch' -p\n" in text
    assert "jdbc:mysql://127.0.0.1:40123/?user=my%20batch\n" in text
    assert "Hostname: 127.0.0.1   Port: 40123   Username: my batch\n" in text


def test_named_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    args = ["serve", ENDPOINT, "--db-user", "batch", "--password-env", "APP_PASSWORD", "--log-level", "debug"]
    assert cli.run(args, Started().programs) == 0
    assert flush(20)
    assert "mysql -h" in terminal.getvalue()
    assert "made for this run" not in terminal.getvalue()
    assert PASSWORD not in terminal.getvalue()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_connect_lines_never_make_the_client_take_a_socket(host: str) -> None:
    assert connect_lines(Address(host, 1), "a")[0].endswith("mysql -h 127.0.0.1 -P 1 -u a -p")


def test_connect_lines_bracket_ipv6_in_urls_only() -> None:
    cli_line, jdbc, _ = connect_lines(Address("::1", 1), "a@b&c")
    assert "-h ::1 -P 1" in cli_line
    assert jdbc.endswith("jdbc:mysql://[::1]:1/?user=a%40b%26c")


def test_exit_code_of_the_server_is_the_commands() -> None:
    assert cli.run(["serve", "--config", "proxy.toml"], Started(code=143).programs) == 143


def test_fault_found_while_starting_is_reported_like_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError(["listeners[0].bind: in use", "targets.orders.ca_file: no CA"])
    assert cli.run(["serve", "--config", "proxy.toml"], Started(error=error).programs) == 2
    assert capsys.readouterr().err == (
        "rds-iam-proxy: 2 faults:\n  listeners[0].bind: in use\n  targets.orders.ca_file: no CA\n"
    )


def test_ctrl_c_before_the_server_listens_for_it() -> None:
    assert cli.run(["serve", "--config", "proxy.toml"], Started(error=KeyboardInterrupt()).programs) == 130


@pytest.mark.parametrize("level", ["info", "debug"])
def test_unexpected_error_is_one_line_and_its_traceback_a_debug_line(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    started = Started(error=RuntimeError("two\nlines"))
    args = ["serve", "--config", "proxy.toml", "--log-level", level]
    assert cli.run(args, started.programs) == 1
    assert flush(20)
    first, *log = capsys.readouterr().err.splitlines()
    assert first == r"rds-iam-proxy: unexpected error: RuntimeError: two\nlines"
    assert len(log) == (level == "debug")
    for line in log:
        assert "Traceback (most recent call last):" in json.loads(line)["traceback"]


def test_unwise_configuration_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    serve(ENDPOINT, "--db-user", "batch", "--password-env", "APP_PASSWORD", "--logins-per-second", "200")
    assert flush(20)
    line = json.loads(capsys.readouterr().err)
    assert line["level"] == "warning"
    assert line["why"].startswith("--logins-per-second: 200 per second")


def test_container_that_listens_on_loopback_only_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    monkeypatch.setenv("container", "podman")
    args = [ENDPOINT, "--db-user", "batch", "--password-env", "APP_PASSWORD"]
    serve(*args)
    assert flush(20)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["event"]) == ("info", "listening on loopback only")
    assert "--listen 0.0.0.0:3306 --allow-remote --tls required" in line["why"]
    serve(*args, "--listen", "0.0.0.0:3306", "--allow-remote", "--tls", "required")
    assert flush(20)
    assert capsys.readouterr().err == ""


def test_check_of_the_configuration_only_names_every_fault_and_logs_in_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["check", "--config", "proxy.toml", "--config-only"]) == 0
    assert "All is well." in capsys.readouterr().out
    more = '[[listeners]]\nbind = "127.0.0.1:3308"\ntarget = "order"\n'
    (tmp_path / "proxy.toml").write_text(FILE.replace('level = "warning"', 'level = "loud"') + more)
    assert cli.run(["check", "--config", "proxy.toml", "--config-only", "--json"]) == 1
    ((step,),) = [check["steps"] for check in json.loads(capsys.readouterr().out)["checks"]]
    assert [detail.partition(": ")[0] for detail in step["details"]] == [
        "log.level, line 13",
        "2nd [[listeners]], line 16",
    ]
    (tmp_path / "proxy.toml").write_text(
        FILE.replace("[[listeners]]", '[[listeners]]\ntls_cert = "roots.pem"\ntls_key = "roots.pem"')
    )
    (tmp_path / "roots.pem").chmod(0o600)
    assert cli.run(["check", "--config", "proxy.toml", "--config-only"]) == 1
    assert "not usable together" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "environ", "expected"),
    [
        ([], {}, (None, False)),
        (["--once"], {}, (None, True)),
        (["--listen", "127.0.0.1:0"], {}, (Address("127.0.0.1", 0), False)),
        ([], {"RDS_IAM_PROXY_LISTEN": "localhost:1", "RDS_IAM_PROXY_ONCE": "1"}, (Address("localhost", 1), True)),
        (["--listen", "[::1]"], {"RDS_IAM_PROXY_LISTEN": "localhost:1"}, (Address("::1", 3306), False)),
    ],
)
def test_demo_is_started_as_told(
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    environ: dict[str, str],
    expected: tuple[Address | None, bool],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    started = Started(code=3)
    assert cli.run(["demo", *args], started.programs) == 3
    assert started.demo == expected


class Pipe(io.BytesIO):
    pass


class Keyboard(io.BytesIO):
    def isatty(self) -> bool:
        return True


def hashed(stdin: io.BytesIO, *typed: str, generate: bool = False) -> tuple[str, str]:
    stdout, stderr, answers = io.StringIO(), io.StringIO(), iter(typed)
    hash_password(
        generate=generate,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        ask=lambda prompt: next(answers),
        make=lambda: "made" * 6,
    )
    return stdout.getvalue(), stderr.getvalue()


def assert_hash_of(password: bytes, out: str) -> None:
    """One line, for each protocol."""
    assert out.startswith(Verifier.of(password).format() + ",scram:SCRAM-SHA-256$4096:")
    assert out.endswith("\n")
    found = PasswordHash.parse(out)
    assert found.mysql == Verifier.of(password)
    assert found.scram is not None
    assert found.scram.fits(password)


@pytest.mark.parametrize("line", [b"0123456789abcdef", b"0123456789abcdef\n", b"0123456789abcdef\r\nmore\n"])
def test_password_is_one_line_of_stdin(line: bytes) -> None:
    out, err = hashed(Pipe(line))
    assert_hash_of(b"0123456789abcdef", out)
    assert err == ""


def test_password_is_asked_for_twice_on_a_terminal() -> None:
    assert_hash_of(PASSWORD.encode(), hashed(Keyboard(), PASSWORD, PASSWORD)[0])
    with pytest.raises(ConfigError, match="the two passwords differ"):
        hashed(Keyboard(), PASSWORD, "other")


def test_end_of_input_at_the_prompt_is_no_password() -> None:
    def ask(prompt: str) -> str:
        raise EOFError

    with pytest.raises(ConfigError, match="no password was given"):
        hash_password(generate=False, stdin=Keyboard(), stdout=io.StringIO(), stderr=io.StringIO(), ask=ask)


def test_short_password_is_hashed_with_a_warning_that_does_not_show_it() -> None:
    out, err = hashed(Pipe(b"s3cret-15-chars\n"))
    assert out
    assert err.startswith("Warning: shorter than 16 characters")
    assert "s3cret" not in err


@pytest.mark.parametrize(
    ("line", "text"), [(b"", "empty"), (b"\n", "empty"), (b"a\0b\n", "NUL"), (b"x" * 257 + b"\n", "257 bytes")]
)
def test_password_that_no_client_could_use_is_refused(line: bytes, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        hashed(Pipe(line))


def test_generated_password_goes_to_stderr_and_its_hash_to_stdout() -> None:
    out, err = hashed(Pipe(b""), generate=True)
    assert_hash_of(b"made" * 6, out)
    assert err == f"Password (shown only now): {'made' * 6}\n"


def test_second_hash_takes_the_salt_of_the_first() -> None:
    def hash_of(password: bytes, salt: str | None) -> str:
        out = io.StringIO()
        hash_password(generate=False, salt=salt, stdin=Pipe(password), stdout=out, stderr=io.StringIO())
        return out.getvalue()

    first = hash_of(b"the first password", None)
    salt = first.partition("$4096:")[2].partition("$")[0]
    second = PasswordHash.parse(hash_of(b"the second password", salt)).scram
    before = PasswordHash.parse(first).scram
    assert before is not None
    assert second is not None
    assert before.together(second).fits(b"the second password")
    for wrong in ("", "AAAA", "no base64!", "ä"):
        with pytest.raises(ConfigError, match="--salt"):
            hash_of(b"the second password", wrong)


def test_random_passwords_are_24_letters_and_digits() -> None:
    made = {random_password() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[A-Za-z0-9]{24}", password) for password in made)


def command(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    folders = [str(Path(rds_iam_proxy.__file__).parents[1]), str(Path(sys.modules["mysql_wire"].__path__[0]).parent)]
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rds_iam_proxy", *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(folders)},
    )


def imported(process: subprocess.CompletedProcess[str]) -> set[str]:
    lines = (line for line in process.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_version_loads_next_to_nothing() -> None:
    process = command("--version")
    assert (process.returncode, process.stdout) == (0, f"rds-iam-proxy {rds_iam_proxy.__version__}\n")
    assert not imported(process) & {"click", "pydantic", "boto3", "ssl", "asyncio", "logging", "cryptography"}


def test_help_loads_no_heavy_library() -> None:
    process = command("serve", "--help")
    assert process.returncode == 0
    for flag, *_ in VALUES:
        assert flag in process.stdout
        assert f"RDS_IAM_PROXY_{flag[2:].replace('-', '_').upper()}" in re.sub(r"\s+", "", process.stdout)
    heavy = {"boto3", "botocore", "cryptography", "mysql_mimic", "sqlglot", "uvloop", "rich", "pymysql"}
    assert not imported(process) & heavy


@pytest.mark.parametrize(
    ("args", "exit_code", "text"),
    [
        (["--admin", "127.0.0.1:1", "--timeout", "0"], 1, "not ready after 0 s: nobody answers at 127.0.0.1:1"),
        (["--timeout=0", "--admin=127.0.0.1:1"], 1, "not ready after 0 s: nobody answers at 127.0.0.1:1"),
        (["--admin", "127.0.0.1:1", "--timeout", "nan"], 1, "not ready after nan s"),
        (["--admin", "127.0.0.1:1", "--timeout", "-1"], 2, "Invalid value for '--timeout'"),
        (["--admin", "127.0.0.1:1", "--timeout", "soon"], 2, "Invalid value for '--timeout'"),
        (["--admin", "x:y:z", "--timeout", "0"], 2, "--admin: write HOST:PORT"),
        (["--admin", "9090"], 2, "--admin: 9090 is a port: write 127.0.0.1:9090"),
        (["--admin"], 2, "'--admin' requires an argument"),
        (["--help"], 0, ""),
        ([], 2, "which proxy? Give --admin HOST:PORT"),
    ],
)
def test_wait_says_what_is_wrong_with_its_flags(args: list[str], exit_code: int, text: str) -> None:
    process = command("wait", *args)
    assert process.returncode == exit_code
    assert text in process.stderr


def test_wait_of_a_health_check_loads_no_more_than_it_needs() -> None:
    process = command("wait", "--admin", "127.0.0.1:1", "--timeout", "0")
    assert not imported(process) & {"click", "pydantic", "logging", "asyncio", "rich", "cryptography", "mysql_wire"}


def test_hash_password_as_a_process() -> None:
    process = command("hash-password", stdin=PASSWORD + "\n")
    assert process.returncode == 0
    assert_hash_of(PASSWORD.encode(), process.stdout)
    assert "boto3" not in imported(process)
    process = command("hash-password")
    assert (process.returncode, process.stdout) == (2, "")
    assert "rds-iam-proxy: the password is empty\n" in process.stderr


def test_main_answers_version_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["rds-iam-proxy", "--version"])
    assert __main__.main() == 0
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"rds-iam-proxy {rds_iam_proxy.__version__}\n" * 2
    monkeypatch.setattr(sys, "argv", ["rds-iam-proxy", "bogus"])
    assert __main__.main() == 2
