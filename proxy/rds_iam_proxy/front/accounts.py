"""Who may log in here, as which database user. Looks up only; checking an answer is the login's job."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence

from mysql_wire.passwords import Verifier

from ..config import Account
from ..net.sockets import Peer

_Verifiers = tuple[Verifier, ...]


class Accounts:
    """The accounts by name and target. An unknown user gets a verifier too, one that no answer satisfies."""

    def __init__(
        self, accounts: Iterable[Account], *, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        known = tuple(accounts)
        self._by_user: dict[bytes, list[Account]] = {}
        self._of_any_user: Account | None = None
        for account in known:
            if account.any_user:
                self._of_any_user = account
            self._by_user.setdefault(account.user.encode(), []).append(account)
        self._dummies = _Dummies([account.verifiers for account in known if account.verifiers], random_bytes)

    def find(self, user: bytes, target: str) -> Account | None:
        """The account of this user name, as it came over the wire, for this target."""
        for account in self._by_user.get(_unquoted(user), ()):
            if account.targets is None or target in account.targets:
                return account
        return self._of_any_user

    def verifiers(self, user: bytes, target: str) -> _Verifiers:
        """What the client's answer is checked against; never empty."""
        account = self.find(user, target)
        return (account and account.verifiers) or self._dummies.of(user)


class _Dummies:
    """Checked like real ones, so that neither time nor packets tell who has an account.

    Where some accounts have one method only, so have names that nobody has: each always the same one, which follows
    from the accounts' own secrets and not from the process.
    """

    def __init__(self, real: Sequence[_Verifiers], random_bytes: Callable[[int], bytes]) -> None:
        native, sha2 = random_bytes(20), random_bytes(32)
        kinds = [(_any_native(verifiers), _any_sha2(verifiers)) for verifiers in real] or [(True, True)]
        made = {kind: (Verifier(native=native if kind[0] else None, sha2=sha2 if kind[1] else None),) for kind in kinds}
        self._dummies = [made[kind] for kind in kinds]
        secret = "".join(verifier.format() for verifiers in real for verifier in verifiers)
        self._key = hashlib.sha256(secret.encode()).digest()

    def of(self, user: bytes) -> _Verifiers:
        digest = hashlib.sha256(self._key + user).digest()
        return self._dummies[int.from_bytes(digest[:8], "big") % len(self._dummies)]


def _any_native(verifiers: _Verifiers) -> bool:
    return any(verifier.native is not None for verifier in verifiers)


def _any_sha2(verifiers: _Verifiers) -> bool:
    return any(verifier.sha2 is not None for verifier in verifiers)


def is_vouched_for(account: Account, peer: Peer) -> bool:
    """The kernel says that the peer is who may use this account: no password is needed."""
    return account.peer_uid is not None and account.peer_uid == peer.uid


def _unquoted(user: bytes) -> bytes:
    """Without one pair of single quotes around it: servers strip that, and some scripts send it."""
    if len(user) > 1 and user.startswith(b"'") and user.endswith(b"'"):
        return user[1:-1]
    return user
