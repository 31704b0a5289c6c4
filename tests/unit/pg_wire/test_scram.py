"""SCRAM as its server: RFC 7677's example, SASLprep, verifiers, what each part must be."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.scram_client import ScramClient
from pg_wire.errors import (
    LocalProtocolError,
    MalformedMessage,
    NotAuthorized,
    RemoteProtocolError,
    UnexpectedMessage,
    UnsupportedFeature,
)
from pg_wire.scram import MAX_PASSWORD_BYTES, Exchange, Verifier, salt_for, saslprep

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
END_POINT = bytes(range(32))

PENCIL = Verifier.of_passwords([b"pencil"], SALT)
TWO = Verifier.of_passwords([b"other", b"pencil"], SALT)
OTHER = Verifier.of_passwords([b"other"], SALT)


def _exchange(verifier: Verifier = PENCIL, end_point: bytes | None = None) -> Exchange:
    return Exchange(verifier, nonce=NONCE, end_point=end_point)


@pytest.mark.parametrize(("verifier", "answer"), [(PENCIL, SERVER_FINAL), (TWO, SERVER_FINAL), (OTHER, None)])
def test_example_of_rfc_7677(verifier: Verifier, answer: bytes | None) -> None:
    exchange = _exchange(verifier)
    assert exchange.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", plus=False) == SERVER_FIRST
    exchange.final(CLIENT_FINAL)
    assert exchange.answer() == answer


@pytest.mark.parametrize("end_point", [None, END_POINT])
@pytest.mark.parametrize("password", [b"pencil", b"other"])
def test_each_of_two_passwords_is_answered_with_its_own_key(password: bytes, end_point: bytes | None) -> None:
    plus = end_point is not None
    header = b"p=tls-server-end-point,," if plus else b"n,,"
    client, exchange = ScramClient(password, header, end_point or b""), _exchange(TWO, end_point)
    exchange.final(client.final(exchange.first(client.first(), plus=plus)))
    assert client.server_is_right(exchange.answer() or b"")


@pytest.mark.parametrize("user", [b"", b"*", b"somebody=2Celse", "ü".encode()])
def test_user_name_inside_scram_means_nothing(user: bytes) -> None:
    client, exchange = ScramClient(b"pencil", user=user), _exchange()
    exchange.final(client.final(exchange.first(client.first(), plus=False)))
    assert client.server_is_right(exchange.answer() or b"")


def test_client_that_knows_of_channel_binding_is_refused_only_where_it_was_offered() -> None:
    client = ScramClient(b"pencil", b"y,,")
    exchange = _exchange()
    exchange.final(client.final(exchange.first(client.first(), plus=False)))
    assert exchange.answer() is not None
    with pytest.raises(NotAuthorized, match="negotiation"):
        _exchange(end_point=END_POINT).first(client.first(), plus=False)


def test_client_that_saw_another_certificate_is_refused() -> None:
    exchange, client = _exchange(end_point=END_POINT), ScramClient(b"pencil", b"p=tls-server-end-point,,", b"x" * 32)
    final = client.final(exchange.first(client.first(), plus=True))
    with pytest.raises(NotAuthorized, match="channel binding check failed"):
        exchange.final(final)
    assert exchange.answer() is None


@pytest.mark.parametrize(
    ("first", "plus", "error"),
    [
        (b"", False, MalformedMessage),
        (b"n", False, MalformedMessage),
        (b"n,,", False, MalformedMessage),
        (b"n,,n=", False, MalformedMessage),
        (b"n,,n=,r=", False, MalformedMessage),
        (b"n,,r=abc,n=", False, MalformedMessage),
        (b"n,,n=,r=a\x7f", False, MalformedMessage),
        (b"n,,n=,r=a b", False, MalformedMessage),
        (b"x,,n=,r=abc", False, MalformedMessage),
        (b"p=tls-unique,,n=,r=abc", True, MalformedMessage),
        (b"p=tls-server-end-point,,n=,r=abc", False, MalformedMessage),
        (b"n,,n=,r=abc", True, MalformedMessage),
        (b"n,a=root,n=,r=abc", False, UnsupportedFeature),
        (b"n,,m=x,n=,r=abc", False, UnsupportedFeature),
    ],
)
def test_first_message_that_is_not_as_it_must_be(first: bytes, plus: bool, error: type[RemoteProtocolError]) -> None:
    exchange = _exchange(end_point=END_POINT)
    with pytest.raises(error):
        exchange.first(first, plus=plus)
    with pytest.raises(MalformedMessage):
        exchange.final(CLIENT_FINAL)
    assert exchange.answer() is None


def test_channel_binding_that_was_not_offered() -> None:
    with pytest.raises(UnexpectedMessage):
        _exchange().first(b"p=tls-server-end-point,,n=,r=abc", plus=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda final: final.partition(b",p=")[0],
        lambda final: final[:-1],
        lambda final: final[:-4] + b"!!!!",
        lambda final: final.partition(b",p=")[0] + b",p=YWJj",
        lambda final: final.replace(b"c=biws", b"c=eSws"),
        lambda final: final.replace(b"c=biws", b"c=!"),
        lambda final: final.replace(b"c=biws,", b""),
        lambda final: final.replace(b",r=rO", b",r=xO"),
        lambda final: final.replace(b",r=", b",x="),
        lambda final: b"",
    ],
)
def test_final_message_that_is_not_as_it_must_be(change: object) -> None:
    exchange = _exchange()
    exchange.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", plus=False)
    assert callable(change)
    with pytest.raises(RemoteProtocolError):
        exchange.final(change(CLIENT_FINAL))
    assert exchange.answer() is None


def test_every_changed_byte_of_the_final_message_is_noticed() -> None:
    for position in range(len(CLIENT_FINAL)):
        exchange = _exchange()
        exchange.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", plus=False)
        changed = CLIENT_FINAL[:position] + bytes((CLIENT_FINAL[position] ^ 1,)) + CLIENT_FINAL[position + 1 :]
        try:
            exchange.final(changed)
        except RemoteProtocolError:
            continue
        assert exchange.answer() is None, changed


@given(st.binary(max_size=60), st.binary(max_size=60), st.booleans(), st.booleans())
def test_any_bytes_give_a_protocol_error_or_a_wrong_proof(
    first: bytes, final: bytes, plus: bool, offered: bool
) -> None:
    exchange = _exchange(end_point=END_POINT if offered else None)
    try:
        exchange.first(first, plus=plus)
        exchange.final(final)
    except RemoteProtocolError:
        pass
    assert exchange.answer() is None


@pytest.mark.parametrize("nonce", [b"", b"a,b", b"a b", b"\xff"])
def test_our_own_nonce_must_fit_the_wire(nonce: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        Exchange(PENCIL, nonce=nonce, end_point=None)


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("pw-of-16-ch\u0061\u0308rs-xx", "pw-of-16-ch\u00e4rs-xx"),
        ("\u0627\u0628", "\u0627\u0628"),
        # forbidden: as they are
        ("\u0007", "\u0007"),
        ("\u06271", "\u06271"),
        ("\u0627a\u0628", "\u0627a\u0628"),
        ("\u00ad", "\u00ad"),
        ("\u00aa\ue000", "\u00aa\ue000"),
    ],
)
def test_saslprep_as_in_rfc_4013(password: str, prepared: str) -> None:
    assert saslprep(password.encode()) == prepared.encode()


def test_password_that_is_no_utf_8_is_taken_as_it_is() -> None:
    assert saslprep(b"\xff\xfe") == b"\xff\xfe"


def test_verifier_has_the_text_of_postgresql_and_reads_it() -> None:
    # The keys of the example above, as rolpassword has them.
    text = (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert PENCIL.texts() == (text,)
    assert Verifier.parse(text) == PENCIL


def test_two_verifiers_share_their_salt_or_are_none() -> None:
    assert OTHER.together(PENCIL) == TWO
    assert TWO.texts() == (*OTHER.texts(), *PENCIL.texts())
    for other in (Verifier.of_passwords([b"x"], b"s" * 16), Verifier.of_passwords([b"x"], SALT, 4095)):
        with pytest.raises(ValueError, match="do not share"):
            PENCIL.together(other)


@pytest.mark.parametrize(
    "change",
    [
        ("SCRAM-SHA-256", "SCRAM-SHA-1"),
        ("4096", "0"),
        ("4096", "1000001"),
        ("4096", "99999999999"),
        ("4096", "-1"),
        ("$W", "$!"),
        (":wf", ":"),
        ("W22", "W2"),
        ("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
        ("W22ZaJ0SNY7soEsUEjb6gQ==", "A" * 88),
    ],
)
def test_text_that_is_no_verifier_is_a_value_error_without_the_text(change: tuple[str, str]) -> None:
    spoilt = PENCIL.texts()[0].replace(*change)
    with pytest.raises(ValueError, match="SCRAM") as caught:
        Verifier.parse(spoilt)
    assert "qY=" not in str(caught.value)


def test_cleartext_password_fits_one_of_them() -> None:
    assert TWO.fits(b"pencil")
    assert TWO.fits(b"other")
    assert not TWO.fits(b"third")
    assert not TWO.fits(b"")
    assert not TWO.fits(b"p" * (MAX_PASSWORD_BYTES + 1))


def test_salt_of_a_name_is_the_same_at_each_try_and_differs_between_names_and_processes() -> None:
    salt = salt_for(b"secret", b"nobody")
    assert salt == salt_for(b"secret", b"nobody")
    assert len(salt) == len(SALT)
    assert len({salt, salt_for(b"secret", b"somebody"), salt_for(b"other", b"nobody")}) == 3


def test_no_key_is_in_a_repr() -> None:
    shown = repr(PENCIL) + repr(PENCIL.keys)
    assert "stored" not in shown
    assert "server" not in shown
