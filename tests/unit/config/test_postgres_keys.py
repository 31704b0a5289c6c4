"""The keys that PostgreSQL has: engine, ports, auth, database, and the hashes."""

from pathlib import Path

import pytest

from mysql_wire.passwords import Verifier
from pg_wire.scram import Verifier as SCRAMVerifier
from pg_wire.scram import salt_for
from rds_iam_proxy.config import SALT_SECRET, Config
from rds_iam_proxy.config.flags import Flag
from rds_iam_proxy.config.load import from_file, from_flags
from rds_iam_proxy.config.password import PasswordHash
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.net.address import Address

HOST = "shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"
PASSWORD = b"correct horse battery staple"
SALT, OTHER_SALT = b"s" * 16, b"t" * 16
WHOLE, OTHER = PasswordHash.of(PASSWORD, SALT), PasswordHash.of(b"the next password, as long", SALT)
MYSQL_ONLY = Verifier.of(PASSWORD).format()
POSTGRES_ONLY = SCRAMVerifier.of_passwords([PASSWORD], SALT).texts()[0]


def load(folder: Path, *, target: str = "", listener: str = "", account: str = "") -> Config:
    path = folder / "proxy.toml"
    path.write_text(
        f'[targets.shop]\nendpoint = "{HOST}:5432"\n{target}\n'
        f'[[listeners]]\nbind = "127.0.0.1"\ntarget = "shop"\n{listener}\n'
        f'[[accounts]]\nuser = "app"\n{account or "password_env = " + chr(34) + "PW" + chr(34)}\n'
    )
    path.chmod(0o600)
    return from_file(path, {"PW": PASSWORD.decode()})


def faults(folder: Path, **parts: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, **parts)
    text = "\n".join(caught.value.faults)
    assert POSTGRES_ONLY.rpartition("$")[2][:20] not in text
    assert PASSWORD.decode() not in text
    return text


def flags(**values: str) -> Config:
    given = {"targets.endpoint": HOST, "accounts.db_user": "batch", "accounts.password_env": "PW"}
    given |= {name.replace("__", "."): value for name, value in values.items()}
    return from_flags({key: Flag(key, value) for key, value in given.items()}, {"PW": PASSWORD.decode()})


def test_port_tells_the_engine_and_the_engine_the_ports(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.targets["shop"].engine == "postgres"
    assert config.listeners[0].bind == Address("127.0.0.1", 5432)
    assert load(tmp_path, target='engine = "mysql"').listeners[0].bind == Address("127.0.0.1", 3306)
    assert flags().targets["shop"].engine == "mysql"
    config = flags(targets__engine="postgres", targets__dial="127.0.0.1")
    assert config.targets["shop"].address == Address(HOST, 5432)
    assert config.targets["shop"].dial == config.listeners[0].bind == Address("127.0.0.1", 5432)
    assert flags(targets__endpoint=f"{HOST}:6000").targets["shop"].engine == "mysql"


def test_listener_asks_for_what_its_engine_has(tmp_path: Path) -> None:
    assert load(tmp_path, listener='auth = "password"').listeners[0].auth == "password"
    assert "scram-sha-256" in faults(tmp_path, listener='auth = "native"')
    assert "auto or native" in faults(tmp_path, target='engine = "mysql"', listener='auth = "password"')


def test_clear_password_is_kept_for_both_and_its_salt_is_that_of_the_process(tmp_path: Path) -> None:
    account = load(tmp_path).accounts[0]
    assert account.scram is not None
    assert account.scram.fits(PASSWORD)
    assert account.scram.salt == salt_for(SALT_SECRET, b"app")
    assert account.verifiers == (Verifier.of(PASSWORD),)
    assert load(tmp_path, target='engine = "mysql"').accounts[0].scram is None
    assert load(tmp_path, account='password_env = "PW"\ndatabase = "shop"').accounts[0].database == "shop"


@pytest.mark.parametrize("text", [WHOLE.format(), POSTGRES_ONLY])
def test_hash_is_read_again(tmp_path: Path, text: str) -> None:
    account = load(tmp_path, account=f'password_hash = "{text}"').accounts[0]
    assert account.scram is not None
    assert account.scram.fits(PASSWORD)
    assert not account.scram.fits(b"wrong")
    assert PasswordHash.parse(text).format() == (text if text.startswith("native:") else "scram:" + text)


def test_hash_without_the_engines_part_is_a_fault(tmp_path: Path) -> None:
    assert "no part scram: for PostgreSQL" in faults(tmp_path, account=f'password_hash = "{MYSQL_ONLY}"')
    text = faults(tmp_path, target='engine = "mysql"', account=f'password_hash = "{POSTGRES_ONLY}"')
    assert "no part native: and sha2: for MySQL" in text


@pytest.mark.parametrize(
    "text",
    [
        POSTGRES_ONLY.replace("$4096:", "$5000:"),
        SCRAMVerifier.of_passwords([PASSWORD], b"s" * 12).texts()[0],
        POSTGRES_ONLY + "x",
        f"{WHOLE.format()},scram:{POSTGRES_ONLY}",
        "scram:",
    ],
)
def test_strange_hash_is_refused(tmp_path: Path, text: str) -> None:
    faults(tmp_path, account=f'password_hash = "{text}"')


def test_two_passwords_share_a_salt(tmp_path: Path) -> None:
    both = f'password_hash = "{WHOLE.format()}"\nnext_password_hash = "{OTHER.format()}"'
    account = load(tmp_path, account=both).accounts[0]
    assert account.scram is not None
    assert account.scram.fits(PASSWORD)
    assert account.scram.fits(b"the next password, as long")
    other = PasswordHash.of(b"the next password, as long", OTHER_SALT)
    text = faults(tmp_path, account=f'password_hash = "{WHOLE.format()}"\nnext_password_hash = "{other.format()}"')
    assert "hash-password --salt" in text
    account = load(tmp_path, account=f'password_hash = "{other.format()}"\nnext_password_env = "PW"').accounts[0]
    assert account.scram is not None
    assert account.scram.fits(PASSWORD)
    assert account.scram.salt == OTHER_SALT


def test_repr_shows_no_verifier(tmp_path: Path) -> None:
    assert "stored" not in repr(load(tmp_path))
    assert "SCRAM" not in repr(WHOLE)
