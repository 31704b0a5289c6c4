"""Who may log in here, as which database user. Looks up only; checking an answer is the login's job."""

import secrets
from collections.abc import Callable, Iterable

from mysql_wire.passwords import Decoys, Verifier
from pg_wire.scram import ITERATIONS, Keys, salt_for
from pg_wire.scram import Verifier as SCRAMVerifier

from ..config import SALT_SECRET, Account
from ..net.sockets import Peer


class Accounts:
    """The accounts by name and target. An unknown user gets a verifier too, one that no answer satisfies."""

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        salt_secret: bytes = SALT_SECRET,
    ) -> None:
        known = self._all = tuple(accounts)
        self._by_user: dict[bytes, list[Account]] = {}
        self._of_any_user: Account | None = None
        for account in known:
            if account.any_user:
                self._of_any_user = account
            self._by_user.setdefault(account.user.encode(), []).append(account)
        # Checked like real ones, so that neither time nor packets tell who has an account.
        real = [account.verifiers for account in known if account.verifiers]
        self._decoys = Decoys(real, secret=b"" if real else random_bytes(32))
        self._decoy_keys = Keys(random_bytes(32), random_bytes(32))
        self._salt_secret = salt_secret

    def find(self, user: bytes, target: str) -> Account | None:
        """The account of this user name, as it came over the wire, for this target."""
        for account in self._by_user.get(_unquoted(user), ()):
            if account.targets is None or target in account.targets:
                return account
        return self._of_any_user

    def verifiers(self, user: bytes, target: str) -> tuple[Verifier, ...]:
        """What the client's answer is checked against; never empty."""
        account = self.find(user, target)
        return (account and account.verifiers) or self._decoys.of(_unquoted(user))

    def native_only(self, target: str) -> bool:
        """All that may use the target have no hash but that of mysql_native_password."""
        known = [
            verifier
            for account in self._all
            if account.targets is None or target in account.targets
            for verifier in account.verifiers
        ]
        return bool(known) and all(verifier.sha2 is None for verifier in known)

    def scram(self, user: bytes, target: str) -> SCRAMVerifier:
        """The same for SCRAM. The salt of a name that nobody has stays the same, as that of others does."""
        account = self.find(user, target)
        if account is not None and account.scram is not None:
            return account.scram
        return SCRAMVerifier(salt_for(self._salt_secret, _unquoted(user)), ITERATIONS, (self._decoy_keys,))


def is_vouched_for(account: Account, peer: Peer) -> bool:
    """The kernel says that the peer is who may use this account: no password is needed."""
    return account.peer_uid is not None and account.peer_uid == peer.uid


def _unquoted(user: bytes) -> bytes:
    """Without one pair of single quotes around it: servers strip that, and some scripts send it."""
    if len(user) > 1 and user.startswith(b"'") and user.endswith(b"'"):
        return user[1:-1]
    return user
