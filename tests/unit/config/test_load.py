import os
import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from mysql_wire.passwords import Verifier
from rds_iam_proxy.config import Account, Config, Listener, Log, Target
from rds_iam_proxy.config.flags import CONFIG_FLAGS, Flag
from rds_iam_proxy.config.load import from_file, from_flags
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.files import FileStamp, file_stamp
from rds_iam_proxy.net.address import Address

ENDPOINT = "test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com"
GLOBAL = "test.global-cweacjg5pv9n.global.rds.amazonaws.com"
CHINA = "test.cweacjg5pv9n.rds.cn-north-1.amazonaws.com.cn"
PASSWORD = "correct horse battery"
HASH = Verifier.of(PASSWORD.encode()).format()
ENVIRON = {"APP_PASSWORD": PASSWORD}
PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

TARGET = f'[targets.orders]\nendpoint = "{ENDPOINT}"\n'
LISTENER = '[[listeners]]\nbind = "127.0.0.1:3307"\ntarget = "orders"\n'
ACCOUNT = '[[accounts]]\nuser = "app"\npassword_env = "APP_PASSWORD"\n'


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def load(
    folder: Path,
    text: str,
    *,
    flags: Mapping[str, Flag] | None = None,
    environ: Mapping[str, str] = ENVIRON,
    mode: int = 0o600,
) -> Config:
    return from_file(write(folder / "proxy.toml", text, mode), environ, flags)


def faults_of(folder: Path, text: str, **more: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **more)  # type: ignore[arg-type]
    return caught.value.faults


def to_a_strange_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is no longer in the group of the files that it makes."""
    monkeypatch.setattr(os, "getegid", lambda: 54_321)
    monkeypatch.setattr(os, "getgroups", lambda: [54_322])


def given(**values: str) -> dict[str, Flag]:
    """As from a command line: `log_level` is the flag --log-level."""
    rows = {row.name.lstrip("-").replace("-", "_").lower(): row for row in CONFIG_FLAGS}
    return {rows[name].key: Flag(rows[name].name, value) for name, value in values.items()}


def flag_faults(**values: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        from_flags(given(**values), ENVIRON)
    return caught.value.faults


def marked(*paths: Path) -> dict[Path, FileStamp]:
    return {path: file_stamp(path) for path in paths}


def with_required(**values: str) -> Config:
    required = {"endpoint": ENDPOINT, "db_user": "batch", "password_env": "APP_PASSWORD"}
    return from_flags(given(**(required | values)), ENVIRON)


def test_smallest_file_has_all_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, TARGET + LISTENER + ACCOUNT)

    address = Address(ENDPOINT, 3306)
    assert config == Config(
        targets={"orders": Target("orders", address=address, dial=address, region="ap-northeast-2")},
        listeners=(Listener(Address("127.0.0.1", 3307), "orders"),),
        accounts=(Account("app", (Verifier.of(PASSWORD.encode()),), db_user="app", targets=None),),
        log=Log(format=None, level="info"),
        drain_timeout=30.0,
        files=marked(tmp_path / "proxy.toml"),
        fixed_passwords=("app",),
    )
    target = config.targets["orders"]
    assert (target.logins_per_second, target.login_burst, target.login_wait) == (100, 20, 8.0)
    assert target.max_sessions == 500
    assert target.max_sessions_per_account is None


def test_every_key_of_the_file_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "roots.pem", PEM, 0o644)
    config = load(
        tmp_path,
        f"""
        drain_timeout = 5
        [targets.orders]
        endpoint = "{ENDPOINT.upper()}.:3310"
        dial = "127.0.0.1:13306"
        region = "ap-northeast-2"
        profile = "prod"
        role_arn = "arn:aws:iam::123456789012:role/path/db"
        external_id = "some:id"
        role_session_name = "proxy@host"
        ca_file = "roots.pem"
        logins_per_second = 0.5
        login_burst = 3
        login_wait = 2
        max_sessions = 7
        max_sessions_per_account = 3
        idle_timeout = 600
        [[listeners]]
        bind = "[::1]:0"
        target = "orders"
        [[accounts]]
        user = "app"
        db_user = "batch"
        password_hash = "{HASH}"
        targets = ["orders"]
        [log]
        format = "JSON"
        level = "Debug"
        """,
    )

    assert config == Config(
        targets={
            "orders": Target(
                name="orders",
                address=Address(ENDPOINT, 3310),
                dial=Address("127.0.0.1", 13306),
                region="ap-northeast-2",
                profile="prod",
                role_arn="arn:aws:iam::123456789012:role/path/db",
                external_id="some:id",
                role_session_name="proxy@host",
                ca_file=tmp_path / "roots.pem",
                logins_per_second=0.5,
                login_burst=3,
                login_wait=2.0,
                max_sessions=7,
                max_sessions_per_account=3,
                idle_timeout=600.0,
            )
        },
        listeners=(Listener(Address("::1", 0), "orders"),),
        accounts=(Account("app", (Verifier.of(PASSWORD.encode()),), "batch", targets=frozenset({"orders"})),),
        log=Log("json", "debug"),
        drain_timeout=5.0,
        files=marked(tmp_path / "proxy.toml", tmp_path / "roots.pem"),
    )


def test_configuration_cannot_be_changed(tmp_path: Path) -> None:
    config = load(tmp_path, TARGET + LISTENER + ACCOUNT)
    with pytest.raises(FrozenInstanceError):
        config.drain_timeout = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.targets["x"] = config.targets["orders"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("keys", "path", "text"),
    [
        ('dail = "127.0.0.1:1"', "dail", "unknown key; did you mean dial?"),
        ('tls = "auto"', "tls", "unknown key; "),
        ('region = "eu-west-1"', "region", "eu-west-1, but the endpoint is in ap-northeast-2"),
        ('region = "Frankfurt"', "region", "not the name of a region"),
        ("dial = 3306", "dial", "must be text in quotes"),
        ('dial = "localhost:0"', "dial", "port 0"),
        ('dial = "13306"', "dial", "13306 is a port: write 127.0.0.1:13306"),
        ('dial = "0x7f.1"', "dial", "ends in a number, but is no IPv4 address"),
        ('dial = "mysql://x"', "dial", "HOST:PORT"),
        ("logins_per_second = 0", "logins_per_second", "must be greater than 0"),
        ("logins_per_second = nan", "logins_per_second", "must be a finite number"),
        ("logins_per_second = true", "logins_per_second", "must be a valid number"),
        ('login_burst = "20"', "login_burst", "must be a valid integer"),
        ("login_burst = 0", "login_burst", "must be greater than or equal to 1"),
        ("login_wait = 10", "login_wait", "must be less than or equal to 9.5"),
        ("login_wait = -1", "login_wait", "must be greater than or equal to 0"),
        ("max_sessions = 0", "max_sessions", "must be greater than or equal to 1"),
        ("max_sessions_per_account = 0", "max_sessions_per_account", "must be greater than or equal to 1"),
        ('profile = ""', "profile", "must not be empty"),
        ('role_arn = "arn:aws:iam::1:role/x"', "role_arn", "must be arn:aws:iam::ACCOUNT:role/NAME"),
        ('external_id = "id"', "external_id", "means nothing without role_arn"),
        ('role_session_name = "name"', "role_session_name", "means nothing without role_arn"),
        ('reuse = true\nengine = "postgres"', "reuse", "sessions of PostgreSQL are not lent again"),
        ('ca_file = "missing.pem"', "ca_file", "No such file"),
        ('ca_file = "proxy.toml"', "ca_file", "holds no certificate in PEM form"),
        ('ca_file = "."', "ca_file", "directory"),
    ],
)
def test_faulty_key_of_a_target_is_named(tmp_path: Path, keys: str, path: str, text: str) -> None:
    (fault,) = faults_of(tmp_path, f"{TARGET}{keys}\n{LISTENER}{ACCOUNT}")
    assert re.match(rf"targets.orders.{path}, line [13]: ", fault), fault
    assert text in fault


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("db.example.com", "is not a name that RDS gives out. IAM tokens are signed for the real endpoint"),
        ("10.0.0.1", "is not a name that RDS gives out"),
        (f"{ENDPOINT}:99999", "port: not a number"),
        ("13306", "13306 is a port: write 127.0.0.1:13306"),
        ("10.1", "ends in a number, but is no IPv4 address"),
        ("", "empty"),
    ],
)
def test_endpoint_that_rds_does_not_give_out_is_refused(tmp_path: Path, endpoint: str, text: str) -> None:
    target = f'[targets.orders]\nendpoint = "{endpoint}"\nregion = "eu-west-1"\n'
    (fault,) = faults_of(tmp_path, target + LISTENER + ACCOUNT)
    assert fault.startswith("targets.orders.endpoint, line 2: ")
    assert text in fault


def test_cname_whose_rds_name_can_be_told_is_a_fault_with_the_line_to_write(tmp_path: Path) -> None:
    asked = []

    def rds_name_behind(host: str) -> str:
        asked.append(host)
        return ENDPOINT

    target = '[targets.orders]\nendpoint = "db.example.com:3307"\n'
    path = write(tmp_path / "proxy.toml", target + LISTENER + ACCOUNT)
    with pytest.raises(ConfigError) as caught:
        from_file(path, ENVIRON, rds_name_behind=rds_name_behind)
    (fault,) = caught.value.faults
    assert f'so write endpoint = "{ENDPOINT}:3307"; or, to have each login follow it, add follow_cname = true' in fault

    flags = given(endpoint="db.example.com", db_user="batch", password_env="APP_PASSWORD")
    with pytest.raises(ConfigError) as caught:
        from_flags(flags, ENVIRON, rds_name_behind=rds_name_behind)
    assert f"it leads to {ENDPOINT}:3306 now, so give that instead" in caught.value.faults[0]
    assert asked == ["db.example.com"] * 2

    write(path, TARGET + LISTENER + ACCOUNT)
    from_file(path, ENVIRON, rds_name_behind=rds_name_behind)
    assert len(asked) == 2, "a name of RDS's own is not looked up"


def test_cname_is_followed_only_within_a_region_and_without_dial(tmp_path: Path) -> None:
    target = '[targets.orders]\nendpoint = "db.example.com"\nfollow_cname = true\n'
    (fault,) = faults_of(tmp_path, target + LISTENER + ACCOUNT)
    assert fault.startswith("targets.orders.region, line 1: required with follow_cname")

    target += 'region = "eu-west-1"\n'
    (fault,) = faults_of(tmp_path, target + 'dial = "127.0.0.1:3307"\n' + LISTENER + ACCOUNT)
    assert fault.startswith("targets.orders.follow_cname, line 3: not together with dial")

    (fault,) = faults_of(tmp_path, target.replace("eu-west-1", "cn-north-1") + LISTENER + ACCOUNT)
    assert fault.startswith("targets.orders.ca_file, line 1: required: endpoints of aws-cn")

    (fault,) = faults_of(tmp_path, f"{TARGET}follow_cname = true\n{LISTENER}{ACCOUNT}")
    assert fault.startswith(f"targets.orders.follow_cname, line 3: {ENDPOINT} is a name of RDS's own already")

    loaded = load(tmp_path, target + LISTENER + ACCOUNT).targets["orders"]
    assert loaded.follow_cname
    assert loaded.address == loaded.dial == Address("db.example.com", 3306)
    assert loaded.region == "eu-west-1"


def test_global_endpoint_needs_a_region(tmp_path: Path) -> None:
    target = f'[targets.orders]\nendpoint = "{GLOBAL}"\n'
    (fault,) = faults_of(tmp_path, target + LISTENER + ACCOUNT)
    assert fault.startswith("targets.orders.region, line 1: required")

    config = load(tmp_path, f'{target}region = "eu-west-1"\n{LISTENER}{ACCOUNT}')
    assert config.targets["orders"].region == "eu-west-1"


def test_partition_without_bundled_roots_needs_a_ca_file(tmp_path: Path) -> None:
    target = f'[targets.orders]\nendpoint = "{CHINA}"\n'
    (fault,) = faults_of(tmp_path, target + LISTENER + ACCOUNT)
    assert fault.startswith("targets.orders.ca_file, line 1: required: endpoints of aws-cn")

    write(tmp_path / "cn.pem", PEM)
    config = load(tmp_path, f'{target}ca_file = "cn.pem"\n{LISTENER}{ACCOUNT}')
    assert config.targets["orders"].region == "cn-north-1"


@pytest.mark.parametrize(
    ("listener", "fault"),
    [
        (
            'bind = "0.0.0.0:3307"\ntarget = "orders"',
            r"1st \[\[listeners\]\], line \d: bind: 0.0.0.0 is not a loopback address",
        ),
        (
            'bind = "[::]:3307"\ntarget = "orders"',
            r"1st \[\[listeners\]\], line \d: bind: :: is not a loopback address",
        ),
        (
            'bind = "db.internal:3307"\ntarget = "orders"',
            r"1st \[\[listeners\]\], line \d: bind: db.internal is not a loopback",
        ),
        (
            'bind = "unix:x"\ntarget = "orders"',
            r"1st \[\[listeners\]\], line \d: bind: write a Unix socket with its whole path",
        ),
        (
            'bind = "unix:/' + "x" * 103 + '"\ntarget = "orders"',
            r"1st \[\[listeners\]\], line \d: bind: .*at most 103 bytes",
        ),
        (
            'bind = "127.0.0.1:1"\ntarget = "orders"\ntls_cert = "proxy.toml"',
            r"1st \[\[listeners\]\], line \d: tls_key: required together",
        ),
        (
            'bind = "127.0.0.1:1"\ntarget = "orders"\ntls = "yes"',
            r"1st \[\[listeners\]\], line \d: tls: must be one of auto, req",
        ),
        (
            'bind = "0.0.0.0:1"\ntarget = "orders"\ntls = "required"',
            r"1st \[\[listeners\]\], line \d: bind: .*or add allow_remote = true$",
        ),
        (
            'bind = "127.0.0.1:1"\ntarget = "order"',
            r"1st \[\[listeners\]\], line \d: target: .*order; did you mean orders\?",
        ),
        ('target = "orders"', r"1st \[\[listeners\]\], line \d: bind: required"),
        ('bind = "127.0.0.1:1"', r"1st \[\[listeners\]\], line \d: target: required"),
    ],
)
def test_faulty_listener_is_named(tmp_path: Path, listener: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, f"{TARGET}[[listeners]]\n{listener}\n{ACCOUNT}")
    assert re.match(fault, found), found


@pytest.mark.parametrize("bind", ["127.0.0.1:3307", "localhost:3307"])
def test_two_listeners_on_one_address_are_refused(tmp_path: Path, bind: str) -> None:
    second = f'[[listeners]]\nbind = "{bind}"\ntarget = "orders"\n'
    (fault,) = faults_of(tmp_path, TARGET + LISTENER + second + ACCOUNT)
    assert fault.startswith(f"2nd [[listeners]], line 7: bind: {bind} is already that of the 1st [[listeners]]")


def test_any_number_of_listeners_may_take_a_free_port(tmp_path: Path) -> None:
    free = LISTENER.replace("3307", "0")
    assert len(load(tmp_path, TARGET + free + free + ACCOUNT).listeners) == 2


@pytest.mark.parametrize(
    ("account", "fault"),
    [
        ("", "1st [[accounts]], line N: user: required"),
        ('user = ""', "1st [[accounts]], line N: user: must not be empty"),
        ('user = "a\\u0000b"', "1st [[accounts]] (user a\0b), line N: user: must not have a NUL in it"),
        (f'user = "{"ä" * 65}"', "1st [[accounts]], line N: user: has 130 bytes, a user name has at most 128"),
        ('user = "app"\ndb_user = ""', "1st [[accounts]] (user app), line N: db_user: must not be empty"),
        ('user = "app"\ntargets = []', "1st [[accounts]] (user app), line N: targets: "),
        ('user = "app"\ntargets = "orders"', "1st [[accounts]] (user app), line N: targets: must be a valid list"),
        ('user = "app"\ntargets = ["x"]', "1st [[accounts]] (user app), line N: targets: no target is called x"),
        (
            'user = "app"\npeer_user = "x"',
            "1st [[accounts]] (user app), line N: peer_user: this machine has no user called x",
        ),
    ],
)
def test_faulty_account_is_named(tmp_path: Path, account: str, fault: str) -> None:
    text = f'{TARGET}{LISTENER}[[accounts]]\npassword_env = "APP_PASSWORD"\n{account}\n'
    (found,) = faults_of(tmp_path, text)
    assert re.sub(r"line \d+", "line N", found).startswith(fault)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("", "", "all targets"),
        ('targets = ["orders"]', "", "target orders"),
        ("", 'targets = ["orders"]', "target orders"),
        ('targets = ["orders", "b"]', 'targets = ["b"]', "target b"),
        ('targets = ["orders"]', 'targets = ["b"]', None),
    ],
)
def test_one_user_has_one_account_per_target(tmp_path: Path, first: str, second: str, shared: str | None) -> None:
    targets = TARGET + TARGET.replace("orders", "b")
    text = f"{targets}{LISTENER}{ACCOUNT}{first}\n{ACCOUNT}{second}\n"
    if shared is None:
        assert len(load(tmp_path, text).accounts) == 2
    else:
        (fault,) = faults_of(tmp_path, text)
        assert fault.startswith("2nd [[accounts]] (user app), line 13: user: the 1st [[accounts]] is an account")
        assert f"for {shared} already" in fault


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", "no password: give password_env or password_file or password_hash"),
        ('password_env = "NOT_SET"', "the environment variable NOT_SET is not set"),
        ('password_env = "EMPTY"', "the password is empty"),
        ('password_env = "LONG"', "the password has 257 bytes, at most 256"),
        ('password_env = ""', "must not be empty"),
        ('password_file = "missing"', "the file cannot be read: No such file"),
        ('password_file = "."', "the file cannot be read: Is a directory"),
        ('password_file = "empty"', "the password is empty"),
        ('password_file = "newline"', "the password is empty"),
        ('password_file = "newlines"', "the password has a line end in it"),
        ('password_file = "return"', "the password has a line end in it"),
        ('password_file = "mark"', "a byte order mark is in front of the password"),
        ('password_file = "utf-16"', "the password is written in UTF-16"),
        ('password_env = "NEWLINE"', "the password has a line end in it"),
        ('password_file = "nul"', "the password has a NUL in it"),
        ('password_file = "group"', "group or others may read or write the file (mode 0640): chmod 600"),
        ('password_file = "others"', "group or others may read or write the file (mode 0604): chmod 600"),
        ('password_file = "written"', "group or others may read or write the file (mode 0660): chmod 600"),
        ('password_hash = "native:s3cret"', "native: not hexadecimal"),
        ('password_hash = "s3cret"', "expected native:<40 hex>,sha2:<64 hex>"),
        ("password_hash = 3", "must be text in quotes"),
        (f'password_hash = "{HASH}"\npassword_env = "APP_PASSWORD"', "each password is given in one way"),
        ('password = "s3cret"', "no password: "),
    ],
)
def test_password_that_cannot_be_used_is_explained_and_not_shown(
    tmp_path: Path, source: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content, mode in [
        ("empty", "", 0o600),
        ("newline", "\n", 0o600),
        ("newlines", "s3cret\n\n", 0o600),
        ("return", "s3cret\r", 0o600),
        ("mark", "\ufeffs3cret\n", 0o600),
        ("nul", "s3cret\0", 0o400),
        ("group", "s3cret", 0o640),
        ("written", "s3cret", 0o660),
        ("others", "s3cret", 0o604),
    ]:
        write(tmp_path / name, content, mode)
    (tmp_path / "utf-16").write_bytes("s3cret".encode("utf-16"))
    (tmp_path / "utf-16").chmod(0o600)
    to_a_strange_group(monkeypatch)
    environ = {**ENVIRON, "EMPTY": "", "LONG": "s3cret" + 251 * "x", "NEWLINE": "s3cret\n"}
    faults = faults_of(tmp_path, f'{TARGET}{LISTENER}[[accounts]]\nuser = "app"\n{source}\n', environ=environ)
    assert any(text in fault for fault in faults)
    assert "s3cret" not in "".join(faults)
    assert PASSWORD not in "".join(faults)


def test_password_written_where_a_name_belongs_is_not_shown(tmp_path: Path) -> None:
    text = TARGET + LISTENER + ACCOUNT.replace("APP_PASSWORD", "s3cret")
    (fault,) = faults_of(tmp_path, text)
    assert "s3cret" not in fault
    assert "not shown" in fault


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"s3cret", b"s3cret"),
        (b"s3cret\n", b"s3cret"),
        (b"s3cret\r\n", b"s3cret"),
        (b" s\xff3 \n", b" s\xff3 "),
        (b"x" * 256 + b"\n", b"x" * 256),
    ],
)
def test_one_line_end_of_a_password_file_is_dropped(tmp_path: Path, content: bytes, password: bytes) -> None:
    (tmp_path / "password").write_bytes(content)
    (tmp_path / "password").chmod(0o600)
    text = TARGET + LISTENER + '[[accounts]]\nuser = "app"\npassword_file = "password"\n'
    assert load(tmp_path, text).accounts[0].verifiers == (Verifier.of(password),)


def test_password_variable_may_hold_any_bytes(tmp_path: Path) -> None:
    environ = {"APP_PASSWORD": os.fsdecode(b"\xff\xfe")}
    config = load(tmp_path, TARGET + LISTENER + ACCOUNT, environ=environ)
    assert config.accounts[0].verifiers == (Verifier.of(b"\xff\xfe"),)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o606])
def test_file_with_hashes_must_be_its_owners_alone(tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    to_a_strange_group(monkeypatch)
    text = f'{TARGET}{LISTENER}[[accounts]]\nuser = "app"\npassword_hash = "{HASH}"\n'
    (fault,) = faults_of(tmp_path, text, mode=mode)
    assert "holds password hashes" in fault
    assert "chmod 600" in fault
    assert load(tmp_path, TARGET + LISTENER + ACCOUNT, mode=mode)


def test_hashes_and_passwords_are_in_no_repr(tmp_path: Path) -> None:
    config = load(tmp_path, f'{TARGET}{LISTENER}[[accounts]]\nuser = "app"\npassword_hash = "{HASH}"\n')
    for digest in re.findall("[0-9a-f]{40,}", HASH):
        assert digest not in repr(config)
        assert repr(bytes.fromhex(digest)) not in repr(config)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path,
        f"""
        lisseners = 1
        drain_timeout = -1
        [targets.orders]
        endpoint = "{ENDPOINT}"
        region = "eu-west-1"
        max_sessions = 0
        [targets.cname]
        endpoint = "db.example.com"
        [targets.empty]
        [[listeners]]
        bind = "0.0.0.0:1"
        target = "nowhere"
        [[accounts]]
        user = "app"
        [[accounts]]
        user = "app"
        password_env = "NOT_SET"
        [log]
        level = "loud"
        """,
        flags=given(log_format="xml", region="eu-west-1"),
    )
    assert [fault.partition(": ")[0] for fault in faults] == [
        "--region",
        "--log-format",
        "lisseners, line 2",
        "drain_timeout, line 3",
        "targets.orders.region, line 6",
        "targets.orders.max_sessions, line 7",
        "targets.cname.endpoint, line 9",
        "targets.empty.endpoint, line 10",
        "1st [[listeners]], line 12",
        "1st [[listeners]], line 13",
        "1st [[accounts]] (user app), line 14",
        "2nd [[accounts]] (user app), line 17",
        "2nd [[accounts]] (user app), line 18",
        "log.level, line 20",
    ], "those of flags, then in the order of the file"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["proxy.toml: empty"]),
        ("drain_timeout = 1", ["targets: none", "listeners: none", "accounts: none"]),
        ("a = ", ["proxy.toml: not valid TOML: "]),
        (f"{TARGET}{ACCOUNT}[listeners]\nbind = 3\n", ["listeners, line 6: must be tables [[listeners]], with two"]),
        (f'{TARGET}{ACCOUNT}{LISTENER}[targets]\nendpoint = "x"\n', ["targets.endpoint, line 10: must be a table; "]),
        (f"{TARGET}{TARGET}", ["proxy.toml: not valid TOML: "]),
        (f"targets = 3\n{ACCOUNT}", ["targets, line 1: must be tables [targets.NAME]", "listeners: none"]),
        (f"accounts = [3]\n{TARGET}{LISTENER}", ["1st [[accounts]], line 1: must be a table"]),
        (f"log = 3\n{TARGET}{LISTENER}{ACCOUNT}", ["log, line 1: must be a table"]),
    ],
)
def test_file_of_the_wrong_shape_is_explained(tmp_path: Path, text: str, faults: list[str]) -> None:
    found = faults_of(tmp_path, text)
    for fault in faults:
        assert any(fault in line for line in found), found


def test_target_name_that_is_no_name_is_refused(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, TARGET.replace("orders", '"my orders"') + LISTENER + ACCOUNT)
    assert faults[0].startswith("targets.my orders, line 1: a target's name has")


def test_file_that_cannot_be_read_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file") as caught:
        from_file(tmp_path / "missing.toml", ENVIRON)
    assert len(caught.value.faults) == 1
    (tmp_path / "latin1.toml").write_bytes(b"# \xe4")
    with pytest.raises(ConfigError, match="byte 3 is not UTF-8"):
        from_file(tmp_path / "latin1.toml", ENVIRON)


def test_targets_of_one_endpoint_agree_on_its_limit(tmp_path: Path) -> None:
    other = TARGET.replace("orders", "b")
    (fault,) = faults_of(tmp_path, f"{TARGET}login_burst = 5\n{other}\n{LISTENER}{ACCOUNT}")
    assert fault.startswith("targets.b.login_burst, line 4: 20, but targets.orders has 5 for the same endpoint")
    assert load(tmp_path, f"{TARGET}login_burst = 5\n{other}login_burst = 5\n{LISTENER}{ACCOUNT}")


def test_rate_that_aws_throttles_is_a_warning(tmp_path: Path) -> None:
    config = load(tmp_path, f"{TARGET}logins_per_second = 200\n{LISTENER}{ACCOUNT}")
    (warning,) = config.warnings
    assert warning.startswith("targets.orders.logins_per_second, line 3: 200 per second: RDS throttles")
    assert not load(tmp_path, f"{TARGET}logins_per_second = 199\n{LISTENER}{ACCOUNT}").warnings


@pytest.mark.parametrize(
    ("key", "in_file", "flag", "of_file", "of_flag", "default"),
    [
        ("drain_timeout", "drain_timeout = 4", "5", 4.0, 5.0, 30.0),
        ("log_format", '[log]\nformat = "json"', "text", "json", "text", None),
        ("log_level", '[log]\nlevel = "error"', "debug", "error", "debug", "info"),
    ],
)
def test_process_wide_flags_override_the_file(
    tmp_path: Path, key: str, in_file: str, flag: str, of_file: object, of_flag: object, default: object
) -> None:
    def value(text: str, **flags: str) -> object:
        # Keys outside a table come first in TOML, tables may come in any order.
        config = load(tmp_path, f"{text}\n{TARGET}{LISTENER}{ACCOUNT}", flags=given(**flags))
        return {
            "drain_timeout": config.drain_timeout,
            "log_format": config.log.format,
            "log_level": config.log.level,
        }[key]

    assert value("") == default
    assert value(in_file) == of_file
    assert value("", **{key: flag}) == of_flag
    assert value(in_file, **{key: flag}) == of_flag


def test_fault_in_the_file_is_told_although_a_flag_is_over_it(tmp_path: Path) -> None:
    text = f'{TARGET}{LISTENER}{ACCOUNT}[log]\nlevel = "loud"\n'
    (fault,) = faults_of(tmp_path, text, flags=given(log_level="debug"))
    assert fault.startswith("log.level, line 10: must be one of")


@pytest.mark.parametrize(
    "key",
    [
        "endpoint", "listen", "db_user", "user", "password_env", "password_file", "dial", "region", "profile",
        "ca_file", "logins_per_second", "max_sessions",
    ],
)  # fmt: skip
def test_flags_that_describe_what_the_file_describes_are_refused(tmp_path: Path, key: str) -> None:
    flags = given(**{key: "x"}) | {"accounts.user": Flag("RDS_IAM_PROXY_USER", "x")}
    (fault,) = faults_of(tmp_path, TARGET + LISTENER + ACCOUNT, flags=flags)
    assert fault.startswith(", ".join(flag.name for flag in flags.values()) + ": not possible together")


def test_flags_make_one_of_each() -> None:
    config = with_required()
    address = Address(ENDPOINT, 3306)
    assert config == Config(
        targets={"test-rds-1": Target("test-rds-1", address, address, "ap-northeast-2")},
        listeners=(Listener(Address("127.0.0.1", 3306), "test-rds-1"),),
        accounts=(Account("batch", (Verifier.of(PASSWORD.encode()),), "batch"),),
        fixed_passwords=("batch",),
    )


def test_every_flag_is_taken(tmp_path: Path) -> None:
    ca_file = write(tmp_path / "roots.pem", PEM)
    config = from_flags(
        given(
            endpoint=f"{GLOBAL}:3310",
            listen="localhost:3307",
            db_user="batch",
            user="app",
            password_file=str(write(tmp_path / "password", PASSWORD)),
            dial="[::1]:13306",
            region="eu-west-1",
            profile="prod",
            ca_file=str(ca_file),
            logins_per_second="12.5",
            max_sessions="9",
            drain_timeout="1.5",
            log_format="text",
            log_level="warning",
        ),
        {},
    )
    target = Target(
        name="test",
        address=Address(GLOBAL, 3310),
        dial=Address("::1", 13306),
        region="eu-west-1",
        profile="prod",
        ca_file=ca_file,
        logins_per_second=12.5,
        max_sessions=9,
    )
    assert config == Config(
        targets={"test": target},
        listeners=(Listener(Address("localhost", 3307), "test"),),
        accounts=(Account("app", (Verifier.of(PASSWORD.encode()),), "batch"),),
        log=Log("text", "warning"),
        drain_timeout=1.5,
        files=marked(ca_file, tmp_path / "password"),
    )


def test_missing_flags_are_all_named() -> None:
    assert [fault.partition(":")[0] for fault in flag_faults()] == ["ENDPOINT", "--db-user", "no password"]
    assert flag_faults()[-1] == "no password: give --password-env or --password-file"


def test_faults_of_flags_name_the_flag_or_the_variable() -> None:
    flags = given(
        endpoint="db.example.com",
        listen="0.0.0.0:3306",
        db_user="",
        password_env="NOT_SET",
        max_sessions="many",
        dial="x:y:z",
    )
    flags |= {
        "targets.logins_per_second": Flag("RDS_IAM_PROXY_LOGINS_PER_SECOND", "0"),
        "drain_timeout": Flag("RDS_IAM_PROXY_DRAIN_TIMEOUT", "soon"),
        "log.level": Flag("RDS_IAM_PROXY_LOG_LEVEL", "loud"),
    }
    with pytest.raises(ConfigError) as caught:
        from_flags(flags, ENVIRON)
    assert sorted(fault.partition(":")[0] for fault in caught.value.faults) == [
        "--db-user",
        "--dial",
        "--listen",
        "--max-sessions",
        "--password-env",
        "ENDPOINT",
        "RDS_IAM_PROXY_DRAIN_TIMEOUT",
        "RDS_IAM_PROXY_LOGINS_PER_SECOND",
        "RDS_IAM_PROXY_LOG_LEVEL",
    ]


def test_user_name_that_is_not_utf8_is_refused() -> None:
    (fault,) = flag_faults(endpoint=ENDPOINT, db_user=os.fsdecode(b"\xff"), password_env="APP_PASSWORD")
    assert fault == "--db-user: must be valid UTF-8"


def test_generated_password_is_used_only_when_none_is_named() -> None:
    required = given(endpoint=ENDPOINT, db_user="batch")
    config = from_flags(required, ENVIRON, generated_password="generated")
    assert config.accounts[0].verifiers == (Verifier.of(b"generated"),)
    config = from_flags(required | given(password_env="APP_PASSWORD"), ENVIRON, generated_password="generated")
    assert config.accounts[0].verifiers == (Verifier.of(PASSWORD.encode()),)


def test_keys_of_a_listener(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        write(tmp_path / name, PEM)
    tables = f"""{TARGET}{ACCOUNT}
        [[listeners]]
        bind = "unix:{tmp_path}/mysql.sock"
        target = "orders"
        tls = "off"
        [[listeners]]
        bind = "0.0.0.0:3307"
        target = "orders"
        tls = "required"
        tls_cert = "cert.pem"
        tls_key = "key.pem"
        allow_remote = true
    """
    local, remote = load(tmp_path, tables).listeners
    assert local == Listener(tmp_path / "mysql.sock", "orders", "off")
    assert remote == Listener(
        Address("0.0.0.0", 3307), "orders", "required", tmp_path / "cert.pem", tmp_path / "key.pem"
    )


def test_other_machines_may_connect_over_tls_with_the_certificate_of_the_proxy(tmp_path: Path) -> None:
    listener = '[[listeners]]\nbind = "0.0.0.0:3307"\ntarget = "orders"\nallow_remote = true\n'
    (fault,) = faults_of(tmp_path, TARGET + ACCOUNT + listener)
    assert fault.endswith('use 127.0.0.1:3307, or add tls = "required"')
    (made,) = load(tmp_path, f'{TARGET}{ACCOUNT}{listener}tls = "required"\n').listeners
    assert made == Listener(Address("0.0.0.0", 3307), "orders", "required")


def test_flags_of_a_listener(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        write(tmp_path / name, PEM)
    remote = {"listen": "0.0.0.0:3307", "allow_remote": "True", "tls": "required"}
    certificate = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    (made,) = with_required(**remote, **certificate, auth="native").listeners
    assert made == Listener(
        Address("0.0.0.0", 3307), "test-rds-1", "required", tmp_path / "cert.pem", tmp_path / "key.pem", "native"
    )
    with pytest.raises(ConfigError, match=r"--listen: .*or add --allow-remote and --tls required$"):
        with_required(listen="0.0.0.0:3307")
    with pytest.raises(ConfigError, match="--tls-key: required together with --tls-cert"):
        with_required(tls_cert=str(tmp_path / "cert.pem"))


def test_login_timeout_is_the_targets(tmp_path: Path) -> None:
    config = load(tmp_path, f"{TARGET}login_timeout = 60\n{LISTENER}{ACCOUNT}")
    assert config.targets["orders"].login_timeout == 60
    assert with_required(login_timeout="45").targets["test-rds-1"].login_timeout == 45
    assert with_required().targets["test-rds-1"].login_timeout == 9.5
    (fault,) = faults_of(tmp_path, f"{TARGET}login_timeout = 121\n{LISTENER}{ACCOUNT}")
    assert "must be less than or equal to 120" in fault
    (fault,) = faults_of(tmp_path, f"{TARGET}login_wait = 6\nlogin_timeout = 5\n{LISTENER}{ACCOUNT}")
    assert fault == "targets.orders.login_wait, line 3: longer than login_timeout, which is 5 s"


def test_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "cert.pem", PEM)
    write(tmp_path / "key.pem", PEM, 0o644)
    text = f'{TARGET}{ACCOUNT}{LISTENER}tls_cert = "cert.pem"\ntls_key = "key.pem"\n'
    (fault,) = faults_of(tmp_path, text)
    assert fault.startswith("1st [[listeners]], line 10: tls_key: group or others may read or write")


def test_two_passwords_of_one_account(tmp_path: Path) -> None:
    write(tmp_path / "next", "the next password\n")
    (account,) = load(tmp_path, f'{TARGET}{LISTENER}{ACCOUNT}next_password_file = "next"\n').accounts
    assert account.verifiers == (Verifier.of(PASSWORD.encode()), Verifier.of(b"the next password"))


def test_peer_user_needs_no_password_and_becomes_a_uid(tmp_path: Path) -> None:
    text = f'{TARGET}{LISTENER}[[accounts]]\nuser = "app"\npeer_user = "root"\nallow_replication = true\n'
    (account,) = load(tmp_path, text).accounts
    assert (account.peer_uid, account.verifiers, account.allow_replication) == (0, (), True)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (TARGET + "ca_file = 'fifo'\n" + LISTENER + ACCOUNT, "targets.orders.ca_file"),
        (TARGET + LISTENER + "tls_cert = 'fifo'\ntls_key = 'fifo'\n" + ACCOUNT, "1st [[listeners]], line 6: tls_cert"),
        (
            TARGET + LISTENER + "[[accounts]]\nuser = 'app'\npassword_file = 'fifo'\n",
            "1st [[accounts]] (user app), line 8: password_file",
        ),
        (TARGET + LISTENER + ACCOUNT + "[admin]\nbind = '127.0.0.1:9090'\ntoken_file = 'fifo'\n", "admin.token_file"),
    ],
)
def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path, text: str, key: str) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    fault = faults_of(tmp_path, text)[0]
    assert fault.startswith(key)
    assert "it is a FIFO, no regular file" in fault


def test_a_fifo_as_configuration_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "proxy.toml", 0o600)
    with pytest.raises(ConfigError, match="it is a FIFO, no regular file"):
        from_file(tmp_path / "proxy.toml", ENVIRON)


def test_endless_nesting_is_a_fault(tmp_path: Path) -> None:
    assert "nested too deeply" in faults_of(tmp_path, "x = " + "[" * 5000)[0]
