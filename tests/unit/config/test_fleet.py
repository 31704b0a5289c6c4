"""`[fleet]` and `budget`: what is possible, and what a user is told where it is not."""

from pathlib import Path

import pytest

from rds_iam_proxy.config import Config
from rds_iam_proxy.config.flags import Flag
from rds_iam_proxy.config.load import from_file, from_flags
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.limits.store_place import StorePlace
from rds_iam_proxy.net.address import Address

ENDPOINT = "orders.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"
FILE = """
[targets.orders]
endpoint = "{endpoint}"
{target}
[[listeners]]
bind = "127.0.0.1:0"
target = "orders"
[[accounts]]
user = "app"
password_env = "PASSWORD"
[fleet]
{fleet}
"""


def load(tmp_path: Path, fleet: str, *, target: str = "", more: str = "") -> Config:
    path = tmp_path / "proxy.toml"
    path.write_text(FILE.format(endpoint=ENDPOINT, fleet=fleet, target=target) + more)
    path.chmod(0o600)
    return from_file(path, {"PASSWORD": "correct horse battery", "STORE": "a secret"})


def faults(tmp_path: Path, fleet: str, **more: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, fleet, **more)
    return "\n".join(caught.value.faults)


def test_a_size_alone_shares_in_equal_parts(tmp_path: Path) -> None:
    sharing = load(tmp_path, "size = 4").sharing
    assert sharing is not None
    assert (sharing.size, sharing.store) == (4, None)


def test_without_the_table_nothing_is_shared(tmp_path: Path) -> None:
    config = from_flags(
        {"targets.endpoint": Flag("ENDPOINT", ENDPOINT), "accounts.db_user": Flag("--db-user", "app")},
        {},
        generated_password="x" * 24,
    )
    assert config.sharing is None


def test_a_store_with_all_its_keys(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----\n")
    config = load(
        tmp_path,
        'size = 4\nstore = "rediss://cache.example.com"\nstore_user = "proxy"\nstore_password_env = "STORE"\n'
        'store_ca_file = "ca.pem"',
    )
    assert config.sharing is not None
    assert config.sharing.store == StorePlace(
        Address("cache.example.com", 6379), ca_file=ca, user="proxy", password="a secret"
    )
    assert "a secret" not in repr(config)
    assert ca in config.files
    assert "[fleet]" in config.fixed_passwords


def test_a_store_by_flags() -> None:
    flags = {
        "targets.endpoint": Flag("ENDPOINT", ENDPOINT),
        "accounts.db_user": Flag("--db-user", "app"),
        "fleet.size": Flag("--fleet-size", "3"),
        "fleet.store": Flag("--fleet-store", "redis://127.0.0.1:7000"),
    }
    sharing = from_flags(flags, {}, generated_password="x" * 24).sharing
    assert sharing is not None
    assert sharing.size == 3
    assert sharing.store == StorePlace(Address("127.0.0.1", 7000), tls=False)


@pytest.mark.parametrize(
    ("fleet", "fault"),
    [
        ('store = "rediss://cache:6379"', "required: how many proxies"),
        ("size = 0", "fleet.size, line 12: must be greater than or equal to 1"),
        ('size = 4\nstore_user = "x"', "fleet.store_user, line 13: means nothing without store"),
        ('size = 4\nstore = "redis://cache.example.com"', "has no TLS: write rediss://cache.example.com:6379"),
        ('size = 4\nstore = "http://cache"', "write rediss://HOST:PORT"),
        ('size = 4\nstore = "rediss://user:secret@cache"', "write no user and password into it"),
        ('size = 4\nstore = "rediss://cache"\nstore_iam = "my-cache"', "required with store_iam"),
        (
            'size = 4\nstore = "redis://127.0.0.1"\nstore_iam = "my-cache"\nstore_user = "x"',
            "must be rediss:// with store_iam",
        ),
        (
            'size = 4\nstore = "rediss://c"\nstore_iam = "my-cache"\nstore_user = "x"\nstore_password_env = "STORE"',
            "store_iam, line 14: and store_password_env: keep one of them",
        ),
        ('size = 4\nstore = "rediss://c"\nstore_password_env = "MISSING"', "variable MISSING is not set"),
        ('size = 4\nstore = "rediss://c"\nstore_password_file = "none"', "the file cannot be read"),
        ('size = 4\nstore = "rediss://c"\nstore_ca_file = "none"', "cannot read"),
    ],
)
def test_what_is_not_possible_is_said(tmp_path: Path, fleet: str, fault: str) -> None:
    found = faults(tmp_path, fleet)
    assert fault in found
    assert "secret" not in found


def test_another_machine_without_tls_only_if_somebody_says_so(tmp_path: Path) -> None:
    sharing = load(tmp_path, 'size = 4\nstore = "redis://cache.example.com"\nstore_insecure = true').sharing
    assert sharing is not None
    assert sharing.store is not None
    assert sharing.store.may_be_at(Address("10.0.0.1", 6379))


def test_without_redis_py_the_fault_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rds_iam_proxy.config.fleet.find_spec", lambda name: None)
    assert "fleet.store, line 13: needs redis-py: pip install 'redis>=8.0'" in faults(
        tmp_path, 'size = 4\nstore = "rediss://cache"'
    )


def test_logins_must_wait_longer_than_a_store_may_be_silent(tmp_path: Path) -> None:
    store = 'size = 4\nstore = "rediss://cache"'
    assert "login_wait, line 4: less than 2 s" in faults(tmp_path, store, target="login_wait = 1")
    load(tmp_path, "size = 4", target="login_wait = 1")


def test_endpoints_of_one_budget_must_agree_on_it(tmp_path: Path) -> None:
    reader = f'[targets.reader]\nendpoint = "{ENDPOINT.replace("orders", "other")}"\nbudget = "instance-1"\n'
    config = load(tmp_path, "size = 4", target='budget = "instance-1"', more=reader)
    assert {target.budget for target in config.targets.values()} == {"instance-1"}
    found = faults(tmp_path, "size = 4", target='budget = "instance-1"', more=reader + "logins_per_second = 50\n")
    assert "50, but targets.orders has 100 for the same budget" in found
