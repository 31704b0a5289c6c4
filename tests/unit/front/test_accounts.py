from collections.abc import Iterator

import pytest

from mysql_wire.constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD
from mysql_wire.passwords import Verifier
from pg_wire.scram import Verifier as SCRAMVerifier
from pg_wire.scram import salt_for
from rds_iam_proxy.config import Account
from rds_iam_proxy.front.accounts import Accounts

APP = Account("app", (Verifier.of(b"one"),), db_user="batch")
ORDERS = Account("jürgen", (Verifier.of(b"two"),), db_user="j", targets=frozenset({"orders"}))
STOCK = Account("jürgen", (Verifier.of(b"three"),), db_user="k", targets=frozenset({"stock"}))


def pattern(start: int = 0) -> Iterator[bytes]:
    while True:
        yield bytes([start])
        start += 1


@pytest.fixture
def accounts() -> Accounts:
    counter = pattern()
    return Accounts([APP, ORDERS, STOCK], random_bytes=lambda length: next(counter) * length)


@pytest.mark.parametrize(
    ("user", "target", "account"),
    [
        (b"app", "orders", APP),
        (b"app", "anything", APP),
        (b"'app'", "orders", APP),
        (b"''app''", "orders", None),
        (b"'app", "orders", None),
        (b"'", "orders", None),
        (b"''", "orders", None),
        (b"", "orders", None),
        (b"App", "orders", None),
        (b"app\0", "orders", None),
        (b" app", "orders", None),
        ("jürgen".encode(), "orders", ORDERS),
        ("jürgen".encode(), "stock", STOCK),
        ("jürgen".encode(), "other", None),
        ("jürgen".encode("latin-1"), "orders", None),
    ],
)
def test_user_name_is_compared_byte_by_byte(
    accounts: Accounts, user: bytes, target: str, account: Account | None
) -> None:
    assert accounts.find(user, target) is account


def test_verifiers_are_those_of_the_account(accounts: Accounts) -> None:
    assert accounts.verifiers(b"app", "orders") == APP.verifiers


def test_unknown_user_has_a_verifier_that_offers_both_methods(accounts: Accounts) -> None:
    dummy = accounts.verifiers(b"nobody", "orders")
    assert dummy[0].plugins == (CACHING_SHA2_PASSWORD, NATIVE_PASSWORD)
    assert accounts.verifiers(b"'nobody'", "orders") == dummy
    assert accounts.verifiers("jürgen".encode(), "other") not in (dummy, ORDERS.verifiers, STOCK.verifiers)


def test_dummy_differs_between_processes() -> None:
    assert Accounts([]).verifiers(b"x", "y") != Accounts([]).verifiers(b"x", "y")


def test_scram_salts_tell_nobody_who_exists() -> None:
    """Of a clear password and of a name that nobody has: both come of one secret and the name, and stay the same."""
    secret = b"x" * 32
    known = Account("app", (), "batch", scram=SCRAMVerifier.of_passwords([b"one"], salt_for(secret, b"app")))
    accounts, reloaded = Accounts([known], salt_secret=secret), Accounts([], salt_secret=secret)
    for user in (b"app", b"nobody"):
        before, after = accounts.scram(user, "orders"), reloaded.scram(user, "orders")
        assert (before.salt, before.iterations) == (after.salt, after.iterations)
        assert not after.fits(b"one")
    assert accounts.scram(b"app", "orders").fits(b"one")
    assert not accounts.scram(b"nobody", "orders").fits(b"one")


@pytest.mark.parametrize("user", [b"app", b"nobody", b"", b"'"])
def test_quotes_around_a_name_tell_nobody_who_exists(user: bytes) -> None:
    """They are taken off a known name: the salt of an unknown one must not change with them either."""
    secret = b"x" * 32
    known = Account("app", (), "batch", scram=SCRAMVerifier.of_passwords([b"one"], salt_for(secret, b"app")))
    accounts = Accounts([known], salt_secret=secret)
    assert accounts.scram(b"'%b'" % user, "orders").salt == accounts.scram(user, "orders").salt


def test_methods_of_unknown_users_are_those_of_real_ones() -> None:
    both, native = Verifier.of(b"one"), Verifier(native=Verifier.of(b"two").native, sha2=None)
    known = [Account("app", (both,), db_user="a"), Account("old", (native,), db_user="b")]
    names = [f"nobody{number}".encode() for number in range(200)]

    def offered(accounts: Accounts) -> list[tuple[str, ...]]:
        return [accounts.verifiers(name, "orders")[0].plugins for name in names]

    first = offered(Accounts(known))
    assert 60 < first.count((NATIVE_PASSWORD,)) < 140
    assert first.count((NATIVE_PASSWORD,)) + first.count((CACHING_SHA2_PASSWORD, NATIVE_PASSWORD)) == len(names)
    assert offered(Accounts(known)) == first, "a start anew must not tell who is real"
    assert offered(Accounts(known[:1])) == [(CACHING_SHA2_PASSWORD, NATIVE_PASSWORD)] * len(names)
