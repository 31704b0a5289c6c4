"""What a new configuration keeps, and what it makes anew."""

from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

import pytest

from mysql_wire.passwords import Verifier
from rds_iam_proxy.config import Account, Config, Listener, Target
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.make_certificate import make_ca
from rds_iam_proxy.service.wiring import Wiring, wire

SHOP = Address("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)
BOOKS = Address("books.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(make_ca("CA").certificate_pem)
    return path


def never(coroutine: Coroutine[None, None, None]) -> object:
    coroutine.close()
    raise AssertionError("nothing is started by building")


def config(ca_file: Path, *targets: Target) -> Config:
    return Config(
        targets={target.name: target for target in targets},
        listeners=(Listener(Address("127.0.0.1", 0), targets[0].name, tls="off"),),
        accounts=(Account("app", (Verifier.of(b"x"),), "app"),),
    )


def target(ca_file: Path, name: str = "shop", address: Address = SHOP) -> Target:
    return Target(name, address, address, "eu-central-1", ca_file=ca_file)


def rewire(before: Wiring, new: Config) -> Wiring:
    return wire(new, never, before)


def test_unchanged_targets_keep_everything(ca_file: Path) -> None:
    shop, books = target(ca_file), target(ca_file, "books", BOOKS)
    before = wire(config(ca_file, shop, books), never)
    after = rewire(before, config(ca_file, shop, replace(books, max_sessions=3)))
    assert after.routes["shop"] == before.routes["shop"]
    assert after.routes["books"].upstream is not before.routes["books"].upstream
    assert after.routes["books"].upstream.limiter is before.routes["books"].upstream.limiter
    assert after.routes["books"].upstream.trust is before.routes["books"].upstream.trust
    assert after.tokens == before.tokens
    for tokens in after.tokens.values():
        tokens.close()


def test_known_greeting_survives_as_long_as_the_endpoint_is_the_same(ca_file: Path) -> None:
    shop = target(ca_file)
    before = wire(config(ca_file, shop), never)
    after = rewire(before, config(ca_file, replace(shop, max_sessions=3)))
    assert after.routes["shop"].upstream is not before.routes["shop"].upstream
    assert after.routes["shop"].dialect is before.routes["shop"].dialect
    after = rewire(before, config(ca_file, replace(shop, address=BOOKS, dial=BOOKS)))
    assert after.routes["shop"].dialect is not before.routes["shop"].dialect


def test_what_was_counted_outlives_every_change_and_what_was_learnt_an_address(ca_file: Path) -> None:
    shop = target(ca_file)
    before = wire(config(ca_file, shop), never)
    stats = before.routes["shop"].upstream.stats
    stats.accepted = 7
    stats.attempted("app", None)
    assert rewire(before, config(ca_file, replace(shop, max_sessions=3))).routes["shop"].upstream.stats is stats
    moved = rewire(before, config(ca_file, replace(shop, address=BOOKS, dial=BOOKS))).routes["shop"].upstream.stats
    assert (moved.accepted, len(moved.attempts), len(stats.attempts)) == (7, 0, 1)


def test_another_db_user_to_ask_as_makes_a_new_probe_of_the_same_target(ca_file: Path) -> None:
    shop = target(ca_file)
    before = wire(config(ca_file, shop), never)
    other = replace(config(ca_file, shop), accounts=(Account("app", (Verifier.of(b"x"),), "other"),))
    after = rewire(before, other)
    assert after.routes["shop"].probe.db_user == "other"
    assert after.routes["shop"].upstream is before.routes["shop"].upstream


def test_other_certificates_in_the_same_file_make_a_new_trust(ca_file: Path) -> None:
    shop = target(ca_file)
    before = wire(config(ca_file, shop), never)
    ca_file.write_bytes(make_ca("another CA").certificate_pem)
    after = rewire(before, config(ca_file, shop))
    assert after.routes["shop"].upstream.trust is not before.routes["shop"].upstream.trust
    assert after.routes["shop"].upstream is not before.routes["shop"].upstream
    assert after.routes["shop"].upstream.limiter is before.routes["shop"].upstream.limiter


def test_other_rate_makes_a_new_limiter(ca_file: Path) -> None:
    shop = target(ca_file)
    before = wire(config(ca_file, shop), never)
    after = rewire(before, config(ca_file, replace(shop, logins_per_second=5.0)))
    assert after.routes["shop"].upstream.limiter.rate == 5.0


def test_targets_of_one_endpoint_share_their_limiter(ca_file: Path) -> None:
    wiring = wire(config(ca_file, target(ca_file), target(ca_file, "store")), never)
    assert wiring.routes["shop"].upstream.limiter is wiring.routes["store"].upstream.limiter
    assert wiring.routes["shop"].upstream.trust is not wiring.routes["store"].upstream.trust


def test_unusable_ca_file_is_a_fault(ca_file: Path) -> None:
    shop = target(ca_file)
    before = wire(config(ca_file, shop), never)
    ca_file.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        rewire(before, config(ca_file, shop))
