"""Who may ask for what, decided from headers."""

import pytest

from rds_iam_proxy.admin.access import Access

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LOCAL = Access(TOKEN.encode(), is_loopback=True)
FRONTED = Access(TOKEN.encode(), is_loopback=True, public_host="proxy.example.com")
REMOTE = Access(TOKEN.encode(), is_loopback=False, public_host="proxy.example.com")
HTTPS = {"Host": "proxy.example.com", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9090", "LOCALHOST", "127.0.0.1:1", "[::1]:9090", "[::1]", "10.1.2.3:9090"]
)
def test_our_own_names_are_served(host: str) -> None:
    assert LOCAL.check_host({"Host": host}) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9090", "localhost.evil.example", "", "127.0.0.1.nip.io"]
)
def test_a_rebound_name_is_not_served(host: str) -> None:
    refusal = LOCAL.check_host({"Host": host})
    assert refusal is not None
    assert refusal.status == 421


def test_the_name_of_the_server_in_front_is_served() -> None:
    assert FRONTED.check_host({"Host": "Proxy.example.com:443"}) is None
    assert LOCAL.check_host({"Host": "proxy.example.com"}) is not None


def test_everybody_on_this_machine_may_read() -> None:
    assert LOCAL.check_reading({"Host": "localhost:9090"}) is None


@pytest.mark.parametrize("name", ["Via", "Forwarded", "X-Forwarded-For", "X-Real-IP"])
def test_what_a_server_in_front_passes_on_is_not_of_this_machine(name: str) -> None:
    refusal = LOCAL.check_reading({"Host": "localhost:9090", name: "203.0.113.7"})
    assert refusal is not None
    assert refusal.status == 401


def test_with_a_server_in_front_this_machine_needs_the_token_too() -> None:
    """Some servers in front ask for 127.0.0.1 and add nothing: they look like somebody on this machine."""
    refusal = FRONTED.check_reading({"Host": "127.0.0.1:9090"})
    assert refusal is not None
    assert refusal.status == 401
    assert FRONTED.check_reading({"Host": "127.0.0.1:9090", **BEARER}) is None


def test_the_page_behind_such_a_server_may_end_a_session() -> None:
    headers = {"Host": "127.0.0.1:9090", "Origin": "https://proxy.example.com", **BEARER}
    assert FRONTED.check_acting(headers) is None
    assert LOCAL.check_acting(headers) is not None


@pytest.mark.parametrize("access", [FRONTED, REMOTE])
def test_from_afar_reading_needs_tls_and_the_token(access: Access) -> None:
    for headers, status in (
        ({"Host": "proxy.example.com", **BEARER}, 403),
        ({**HTTPS, "X-Forwarded-Proto": "http", **BEARER}, 403),
        (HTTPS, 401),
        ({**HTTPS, "Authorization": "Bearer wrong"}, 401),
    ):
        refusal = access.check_reading(headers)
        assert refusal is not None
        assert refusal.status == status
    assert access.check_reading({**HTTPS, **BEARER}) is None


def test_an_ip_address_is_no_way_round_the_token() -> None:
    assert REMOTE.check_reading({"Host": "10.1.2.3:9090"}) is not None


@pytest.mark.parametrize("authorization", ["", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer", "Bearer ü"])
def test_ending_a_session_always_needs_the_token(authorization: str) -> None:
    refusal = LOCAL.check_acting({"Host": "localhost", "Authorization": authorization})
    assert refusal is not None
    assert refusal.status == 401


def test_ending_a_session_with_the_token() -> None:
    assert LOCAL.check_acting({"Host": "localhost:9090", **BEARER}) is None
    assert LOCAL.check_acting({"Host": "localhost:9090", "Origin": "http://localhost:9090", **BEARER}) is None


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:9091", "null"])
def test_a_page_of_somebody_else_may_not_end_a_session(origin: str) -> None:
    refusal = LOCAL.check_acting({"Host": "localhost:9090", "Origin": origin, **BEARER})
    assert refusal is not None
    assert refusal.status == 403


def test_the_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(LOCAL)
