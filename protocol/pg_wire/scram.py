"""The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, and what is kept of a password for it.

RFC 5802, 7677 (SCRAM), 5929 (tls-server-end-point), 4013 (SASLprep); PostgreSQL manual: SASL Authentication, which
ignores the user name in SCRAM, and pg_authid.rolpassword for the text of a verifier.
"""

import base64
import binascii
import hashlib
import hmac
import re
import stringprep
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import LocalProtocolError, MalformedMessage, NotAuthorized, UnexpectedMessage, UnsupportedFeature

ITERATIONS = 4096
"""PostgreSQL's default. Known and unknown users must have the same number, or it tells who exists."""

MAX_ITERATIONS = 1_000_000
"""A verifier with more would keep the clients, and the check of a cleartext password, busy for seconds."""

SALT_BYTES = 16
MAX_SALT_BYTES = 64
MAX_PASSWORD_BYTES = 1024
"""A longer cleartext password is wrong without being looked at: preparing it would take time."""

_DIGEST_BYTES = 32
_END_POINT_FLAG = b"p=tls-server-end-point"
_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]{4,88})\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})")

_FORBIDDEN = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(password: bytes) -> bytes:
    """RFC 4013 on UTF-8; what that forbids, and what is no UTF-8, stays as it is, as on both sides of PostgreSQL."""
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return password
    if text.isascii():
        return password
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared or any(table(c) for c in prepared for table in _FORBIDDEN) or not _one_direction(prepared):
        return password
    return prepared.encode()


def _one_direction(text: str) -> bool:
    """RFC 3454, 6: right-to-left text has no left-to-right letter in it and begins and ends right to left."""
    right = [stringprep.in_table_d1(c) for c in text]
    if not any(right):
        return True
    return right[0] and right[-1] and not any(stringprep.in_table_d2(c) for c in text)


def salt_for(secret: bytes, user: bytes) -> bytes:
    """The same for each login of a name, known or not, as long as the `secret` of the process lives."""
    return hmac.digest(secret, user, "sha256")[:SALT_BYTES]


@dataclass(frozen=True, slots=True)
class Keys:
    """What one password leaves: enough to check a proof and to answer it, not to log in elsewhere."""

    stored: bytes = field(repr=False)
    server: bytes = field(repr=False)

    @classmethod
    def of_password(cls, password: bytes, salt: bytes, iterations: int) -> "Keys":
        """Takes a millisecond for 4096 iterations."""
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(password), salt, iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        return cls(hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))


@dataclass(frozen=True, slots=True)
class Verifier:
    """All passwords that are right for one account. They share the salt: only one can be sent, before the proof."""

    salt: bytes
    iterations: int
    keys: tuple[Keys, ...] = field(repr=False)

    @classmethod
    def of_passwords(cls, passwords: Iterable[bytes], salt: bytes, iterations: int = ITERATIONS) -> "Verifier":
        return cls(salt, iterations, tuple(Keys.of_password(password, salt, iterations) for password in passwords))

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """PostgreSQL's own form, `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`. Raises ValueError, without the text."""
        found = _VERIFIER.fullmatch(text)
        if found is None:
            raise ValueError("no SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY")
        iterations = int(found[1])
        if not 1 <= iterations <= MAX_ITERATIONS:
            raise ValueError(f"a SCRAM verifier of {iterations} iterations, 1 to {MAX_ITERATIONS} are possible")
        try:
            salt, stored, server = (base64.b64decode(found[part], validate=True) for part in (2, 3, 4))
        except binascii.Error:
            raise ValueError("a SCRAM verifier with a part that is no base64") from None
        if len(stored) != _DIGEST_BYTES or len(server) != _DIGEST_BYTES or not 1 <= len(salt) <= MAX_SALT_BYTES:
            raise ValueError("a SCRAM verifier with a part of a wrong length")
        return cls(salt, iterations, (Keys(stored, server),))

    def texts(self) -> tuple[str, ...]:
        """The form that `parse` reads, one for each password."""
        return tuple(
            f"SCRAM-SHA-256${self.iterations}:{_base64(self.salt)}${_base64(keys.stored)}:{_base64(keys.server)}"
            for keys in self.keys
        )

    def together(self, other: "Verifier") -> "Verifier":
        """Either one's passwords. Raises ValueError where they do not share salt and iterations."""
        if (self.salt, self.iterations) != (other.salt, other.iterations):
            raise ValueError("two SCRAM verifiers that do not share their salt and iterations")
        return Verifier(self.salt, self.iterations, self.keys + other.keys)

    def fits(self, password: bytes) -> bool:
        """Whether a cleartext password is one of them. Takes a millisecond for 4096 iterations."""
        if len(password) > MAX_PASSWORD_BYTES:
            return False
        keys = Keys.of_password(password, self.salt, self.iterations)
        return any([hmac.compare_digest(keys.stored, known.stored) for known in self.keys])


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """`flag,authzid, | n=user,r=nonce[,extensions]`: the header that says how TLS is bound in, and the bare message."""

    flag: bytes
    header: bytes
    bare: bytes
    nonce: bytes = field(repr=False)

    @classmethod
    def decode(cls, data: bytes) -> "ClientFirst":
        flag, authzid, bare = _parts(data, 3, "client-first-message")
        if flag not in (b"n", b"y", _END_POINT_FLAG):
            raise MalformedMessage("client-first-message.gs2-cbind-flag: none of n, y, p=tls-server-end-point")
        if authzid:
            raise UnsupportedFeature("client uses authorization identity, but it is not supported")
        if bare.startswith(b"m="):
            raise UnsupportedFeature("client requires an unsupported SCRAM extension")
        user, nonce = _parts(bare + b",", 3, "client-first-message")[:2]
        _value(user, b"n", "client-first-message")
        value = _value(nonce, b"r", "client-first-message")
        if not _is_nonce(value):
            raise MalformedMessage(f"client-first-message.nonce: {len(value)} bytes, not all printable, or none")
        return cls(flag, data[: len(data) - len(bare)], bare, value)


@dataclass(frozen=True, slots=True)
class ClientFinal:
    """`c=binding,r=nonce[,extensions] | ,p=proof`; `without_proof` is what the proof is made over."""

    binding: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    without_proof: bytes = field(repr=False)
    proof: bytes = field(repr=False)

    @classmethod
    def decode(cls, data: bytes) -> "ClientFinal":
        without, separator, proof = data.rpartition(b",p=")
        if not separator:
            raise MalformedMessage("client-final-message: no proof")
        binding, nonce = _parts(without + b",", 3, "client-final-message")[:2]
        decoded = _from_base64(proof, "client-final-message.proof")
        if len(decoded) != _DIGEST_BYTES:
            raise MalformedMessage(f"client-final-message.proof: {len(decoded)} bytes instead of {_DIGEST_BYTES}")
        return cls(
            _from_base64(_value(binding, b"c", "client-final-message"), "client-final-message.channel-binding"),
            _value(nonce, b"r", "client-final-message"),
            without,
            decoded,
        )


class Exchange:
    """One exchange: `first` → `final` → `answer`.

    `nonce`: printable ASCII without a comma, new for each exchange. `end_point`: the hash of the server's certificate,
    where the -PLUS mechanism is offered, which needs TLS.
    """

    def __init__(self, verifier: Verifier, *, nonce: bytes, end_point: bytes | None) -> None:
        self._verifier = verifier
        if not _is_nonce(nonce):
            raise LocalProtocolError("a SCRAM nonce must be printable ASCII without a comma")
        self._nonce = nonce
        self._end_point = end_point
        self._client_bare = b""
        self._server_first = b""
        self._binding = b""
        self._final: ClientFinal | None = None

    def first(self, data: bytes, *, plus: bool) -> bytes:
        """client-first-message → server-first-message. `plus`: the mechanism that the client chose.

        Raises MalformedMessage, UnsupportedFeature, NotAuthorized.
        """
        client = ClientFirst.decode(data)
        if client.flag == b"y" and self._end_point is not None:  # somebody took -PLUS off our list
            raise NotAuthorized("SCRAM channel binding negotiation error")
        if (client.flag == _END_POINT_FLAG) != plus:
            raise MalformedMessage("client-first-message.gs2-cbind-flag: does not belong to the mechanism")
        if plus and self._end_point is None:
            raise UnexpectedMessage("SCRAM-SHA-256-PLUS was not offered")
        self._client_bare = client.bare
        self._binding = client.header + (self._end_point or b"" if plus else b"")
        self._nonce = client.nonce + self._nonce
        salt = _base64(self._verifier.salt).encode()
        self._server_first = b"r=%s,s=%s,i=%d" % (self._nonce, salt, self._verifier.iterations)
        return self._server_first

    def final(self, data: bytes) -> None:
        """client-final-message. Whether its proof is right is `answer`'s to say.

        Raises MalformedMessage, NotAuthorized for another certificate than ours.
        """
        final = ClientFinal.decode(data)
        if not self._server_first or final.nonce != self._nonce:
            raise MalformedMessage("client-final-message.nonce: not the one of this exchange")
        if not hmac.compare_digest(final.binding, self._binding):
            raise NotAuthorized("SCRAM channel binding check failed")
        self._final = final

    def answer(self) -> bytes | None:
        """The server-final-message with the ServerKey of the password that fitted; None if none did. All are tried."""
        if self._final is None:
            return None
        signed = b",".join((self._client_bare, self._server_first, self._final.without_proof))
        right = [keys for keys in self._verifier.keys if _proves(self._final.proof, keys.stored, signed)]
        if not right:
            return None
        return b"v=" + base64.b64encode(hmac.digest(right[0].server, signed, "sha256"))


def _proves(proof: bytes, stored: bytes, signed: bytes) -> bool:
    signature = hmac.digest(stored, signed, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored)


def _parts(data: bytes, count: int, name: str) -> list[bytes]:
    parts = data.split(b",", count - 1)
    if len(parts) != count:
        raise MalformedMessage(f"{name}: {len(parts)} of {count} parts")
    return parts


def _value(attribute: bytes, name: bytes, message: str) -> bytes:
    if not attribute.startswith(name + b"="):
        raise MalformedMessage(f"{message}: no attribute {name.decode()} where it belongs")
    return attribute[2:]


def _is_nonce(value: bytes) -> bool:
    return bool(value) and all(0x21 <= byte <= 0x7E and byte != 0x2C for byte in value)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(data: bytes, name: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise MalformedMessage(f"{name}: no base64") from None
