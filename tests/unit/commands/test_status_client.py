"""To whom the command `status` shows the admin token."""

import pytest

from rds_iam_proxy.commands.status_client import NoAnswer, status
from rds_iam_proxy.net.address import Address

TOKEN = "a token of many characters"


class Asked(Exception):
    """It would go out."""


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Asked

    monkeypatch.setattr("http.client.HTTPConnection", refuse)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::"])
def test_the_token_is_shown_on_this_machine(host: str) -> None:
    with pytest.raises(Asked):
        status(Address(host, 9090), TOKEN)


@pytest.mark.parametrize("host", ["10.0.0.1", "proxy.example.com", "fe80::1", "128.0.0.1"])
def test_the_token_crosses_no_network_in_plain_text(host: str) -> None:
    with pytest.raises(NoAnswer, match="ssh forwards") as caught:
        status(Address(host, 9090), TOKEN)
    assert TOKEN not in str(caught.value)
    with pytest.raises(Asked):
        status(Address(host, 9090))
