"""Passwords of local accounts: which are accepted, and making a random one. Reads and stores nothing."""

import codecs
import secrets
from collections.abc import Callable, Sequence

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
