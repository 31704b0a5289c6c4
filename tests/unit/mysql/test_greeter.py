"""How long the first clients wait until they are greeted."""

from typing import Any, cast

import pytest

from kit.virtual_time import VirtualTimeLoop, run
from rds_iam_proxy.mysql.greeter import FIRST_CLIENTS_WAIT_SECONDS, Greeter
from rds_iam_proxy.mysql.greetings import DEFAULT_IDENTITY, Greetings
from rds_iam_proxy.net.address import Address

ENDPOINT = Address("db.abc.eu-west-1.rds.amazonaws.com", 3306)


class NothingKept:
    async def load(self, _: Address) -> None:
        return None


def greeter_of() -> Greeter:
    return Greeter(ENDPOINT, cast(Greetings, NothingKept()), spawn_nothing)


def spawn_nothing(_: Any) -> None:
    raise AssertionError("nothing was learnt")


@pytest.mark.parametrize("login_timeout", [1.0, 3.0, 4.0, 9.5, 120.0])
def test_a_target_that_does_not_answer_takes_less_than_half_of_a_login_and_never_over_4_s(
    login_timeout: float,
) -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        greeter, began = greeter_of(), loop.now
        assert await greeter.greet_as(login_timeout) == DEFAULT_IDENTITY
        waited = loop.now - began
        assert 0.4 * login_timeout <= waited < 0.5 * login_timeout or waited == FIRST_CLIENTS_WAIT_SECONDS
        await greeter.greet_as(login_timeout)
        assert loop.now - began == waited  # nobody waits after that

    run(main(), loop)


def test_the_first_clients_wait_for_the_first_probe_only() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        greeter, began = greeter_of(), loop.now
        loop.call_later(0.1, greeter.tried)
        await greeter.greet_as(9.5)
        assert loop.now - began == pytest.approx(0.1)

    run(main(), loop)
