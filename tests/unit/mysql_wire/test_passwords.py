"""Scrambles, checked against PyMySQL's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql._auth import scramble_caching_sha2, scramble_native_password

from mysql_wire.constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD
from mysql_wire.passwords import Decoys, Verifier, native_scramble, sha2_scramble

NONCE = b"0123456789abcdefghij"


@given(st.binary(min_size=1, max_size=40))
def test_answers_of_a_real_client_are_right(password: bytes) -> None:
    verifier = Verifier.of(password)
    assert verifier.verify(NATIVE_PASSWORD, NONCE, scramble_native_password(password, NONCE))
    assert verifier.verify(CACHING_SHA2_PASSWORD, NONCE, scramble_caching_sha2(password, NONCE))
    assert native_scramble(password, NONCE) == scramble_native_password(password, NONCE)
    assert sha2_scramble(password, NONCE) == scramble_caching_sha2(password, NONCE)


def test_wrong_answers() -> None:
    verifier = Verifier.of(b"right")
    for answer in (b"", b"right", native_scramble(b"wrong", NONCE), native_scramble(b"right", NONCE[::-1])):
        assert not verifier.verify(NATIVE_PASSWORD, NONCE, answer)
    assert not verifier.verify(CACHING_SHA2_PASSWORD, NONCE, native_scramble(b"right", NONCE))
    assert not verifier.verify("mysql_clear_password", NONCE, b"right\0")


def test_a_missing_part_is_a_method_not_offered() -> None:
    whole = Verifier.of(b"pw")
    only_sha2 = Verifier(native=None, sha2=whole.sha2)
    assert only_sha2.plugins == (CACHING_SHA2_PASSWORD,)
    assert not only_sha2.verify(NATIVE_PASSWORD, NONCE, native_scramble(b"pw", NONCE))
    assert Verifier(native=whole.native, sha2=None).plugins == (NATIVE_PASSWORD,)


def test_text_round_trip_and_no_digest_in_repr() -> None:
    verifier = Verifier.of(b"pw")
    assert Verifier.parse(verifier.format()) == verifier
    assert Verifier.parse("sha2:" + "0" * 64).native is None
    assert verifier.native is not None
    assert verifier.native.hex() not in repr(verifier)


@pytest.mark.parametrize("text", ["", "native:", "native:zz", "native:" + "0" * 38, "md5:00", "sha2:00,sha2:00"])
def test_bad_text_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"hex") as caught:
        Verifier.parse(text)
    assert "zz" not in str(caught.value)


WHOLE = (Verifier.of(b"whole"),)
NATIVE_ONLY = (Verifier(native=WHOLE[0].native, sha2=None),)
ROTATED = (Verifier.of(b"new"), Verifier(native=None, sha2=WHOLE[0].sha2))
NAMES = [b"user%d" % number for number in range(200)]


def _kinds(verifiers: tuple[Verifier, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(verifier.plugins for verifier in verifiers)


def test_unknown_names_look_like_the_accounts_that_there_are() -> None:
    assert {_kinds(Decoys([NATIVE_ONLY]).of(name)) for name in NAMES} == {_kinds(NATIVE_ONLY)}
    accounts = [WHOLE, NATIVE_ONLY, ROTATED]
    decoys = Decoys(accounts)
    for account in accounts:
        assert 30 < sum(_kinds(decoys.of(name)) == _kinds(account) for name in NAMES) < 110
    assert {_kinds(Decoys([()]).of(name)) for name in NAMES} == {_kinds(WHOLE)}


def test_an_unknown_name_looks_the_same_each_time() -> None:
    before, after = Decoys([WHOLE, NATIVE_ONLY]), Decoys([WHOLE, NATIVE_ONLY])
    assert [before.of(name) for name in NAMES] == [after.of(name) for name in NAMES]
    other = Decoys([WHOLE, (Verifier.of(b"another"),)])
    assert [before.of(name) for name in NAMES] != [other.of(name) for name in NAMES]


def test_decoys_share_nothing_with_an_account_or_with_each_other() -> None:
    decoys = Decoys([WHOLE])
    digests = [digest for name in NAMES for verifier in decoys.of(name) for digest in (verifier.native, verifier.sha2)]
    assert len({*digests, WHOLE[0].native, WHOLE[0].sha2}) == 2 * len(NAMES) + 2
    assert Decoys([], secret=b"a").of(b"x") != Decoys([], secret=b"b").of(b"x")
