"""Passwords of local accounts: which are accepted, their hashes, and making a random one. Reads and stores nothing."""

import codecs
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from mysql_wire.passwords import Verifier
from pg_wire.scram import ITERATIONS, SALT_BYTES
from pg_wire.scram import Verifier as SCRAMVerifier

SALT_SECRET = secrets.token_bytes(32)
"""Of this process: SCRAM's salts for clear passwords, and for names that nobody has, are made with it."""

MAX_PASSWORD = 256
"""Bytes: the longest that MySQL servers take for caching_sha2_password."""

RECOMMENDED_LENGTH = 16
"""Characters. The hashes are unsalted and quick, so a shorter password can be guessed from them."""

GENERATED_LENGTH = 24
_UTF_8_MARK = codecs.BOM_UTF8
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def random_password(choice: Callable[[Sequence[str]], str] = secrets.choice) -> str:
    """24 letters and digits, 142 bits: nothing that a shell, a URL or a form would change."""
    return "".join(choice(_ALPHABET) for _ in range(GENERATED_LENGTH))


def password_fault(password: bytes) -> str | None:
    """Why this cannot be the password of an account, or None. The text never holds the password."""
    if not password:
        return "the password is empty"
    if password.startswith(_UTF_8_MARK):
        return "a byte order mark is in front of the password; save it as UTF-8 without BOM"
    if password.startswith(_UTF_16_MARKS) and b"\0" in password:
        return "the password is written in UTF-16; save it as UTF-8"
    if b"\0" in password:
        return "the password has a NUL in it, which MySQL clients cannot send"
    if b"\n" in password or b"\r" in password:
        return "the password has a line end in it, which nobody can type; remove it"
    if len(password) > MAX_PASSWORD:
        return f"the password has {len(password)} bytes, at most {MAX_PASSWORD} are possible"
    return None


def without_line_end(text: bytes) -> bytes:
    """The text without one newline at its end, as editors and `echo` put it there."""
    return text.removesuffix(b"\n").removesuffix(b"\r") if text.endswith(b"\n") else text


_POSTGRES_VERIFIER = "SCRAM-SHA-256$"
_SCRAM = "scram:"


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password, for each protocol; a part that is None is one that the hash does not have."""

    mysql: Verifier | None = field(repr=False)
    scram: SCRAMVerifier | None = field(repr=False)

    @classmethod
    def of(cls, password: bytes, salt: bytes) -> Self:
        """`salt`: for SCRAM, 16 bytes. Takes a millisecond."""
        return cls(Verifier.of(password), SCRAMVerifier.of_passwords([password], salt))

    @classmethod
    def parse(cls, text: str) -> Self:
        """`native:HEX,sha2:HEX,scram:VERIFIER`, or PostgreSQL's verifier alone, as pg_authid has it.

        Raises ValueError, without the text.
        """
        text = text.strip()
        if text.startswith(_POSTGRES_VERIFIER):
            return cls(None, _accepted_scram(text))
        parts = [part.strip() for part in text.split(",")]
        verifiers = [part.removeprefix(_SCRAM) for part in parts if part.startswith(_SCRAM)]
        others = [part for part in parts if not part.startswith(_SCRAM)]
        if len(verifiers) > 1:
            raise ValueError("expected native:<40 hex>,sha2:<64 hex>,scram:<verifier>, each at most once")
        return cls(
            Verifier.parse(",".join(others)) if others else None,
            _accepted_scram(verifiers[0]) if verifiers else None,
        )

    def format(self) -> str:
        """The text that `parse` reads."""
        mysql = () if self.mysql is None else (self.mysql.format(),)
        texts = () if self.scram is None else self.scram.texts()
        return ",".join((*mysql, *(_SCRAM + text for text in texts)))


def _accepted_scram(text: str) -> SCRAMVerifier:
    """Of the usual make only: a client sees salt and iterations, and another make would tell that the user exists."""
    verifier = SCRAMVerifier.parse(text)
    if (verifier.iterations, len(verifier.salt)) != (ITERATIONS, SALT_BYTES):
        raise ValueError(
            f"the SCRAM verifier must have {ITERATIONS} iterations and a salt of {SALT_BYTES} bytes, as"
            " PostgreSQL makes them; hash-password makes one"
        )
    return verifier
