"""One dial of RDS and what every login there shares, whatever it speaks: verified TLS, the token, failures as rows."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from ..aws.token import Token
from ..logs import repeats
from ..net.peer_certificate import presented
from ..net.stream import Stream
from . import failures
from .failures import SentToken
from .login import OnStep, Step, Way

OLD_TOKEN_SECONDS = 60.0
"""A refused token of this age is thrown away: a new one may do better."""

TOKEN_LEFT_OUT = b"(the server's text repeats the token and is left out)"

T = TypeVar("T")


class Attempt:
    """`run` it once. `step` says what is being waited for, `on_step` hears when that changes."""

    def __init__(self, way: Way, db_user: str, on_step: OnStep | None = None) -> None:
        self.target = way.target
        self.step = Step.CONNECT
        self.server: tuple[str, int] | None = None
        """IP address and port, once connected."""
        self.certificate_expires: float | None = None
        """Seconds since 1970; None: it was not shown this time."""
        self._way = way
        self._db_user = db_user
        self._on_step = on_step
        self._stream: Stream | None = None
        self._token: Token | None = None

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The connection's TLS, while it is open."""
        return None if self._stream is None else self._stream.tls

    async def run(self, converse: Callable[[Stream, tuple[str, int]], Awaitable[T]]) -> T:
        """What `converse` makes of the stream, which is closed unless that succeeds. Raises LoginError."""
        target = self.target
        try:
            stream, server = await self._way.dialler.dial(target.dial)
        except OSError as exc:
            raise failures.dial_failure(target, exc) from exc
        self._stream, self.server = stream, server
        try:
            return await converse(stream, server)
        except ssl.SSLError as exc:
            failure = failures.tls_failure(target, exc, presented(stream.tls), self._way.clock.now())
            stream.close()
            raise failure from exc
        except OSError as exc:
            stream.close()
            raise failures.hung_up(target, self.step, exc) from exc
        except BaseException:
            stream.close()
            raise

    def enter(self, step: Step) -> None:
        self.step = step
        if self._on_step is not None:
            self._on_step(step)

    async def start_tls(self, stream: Stream) -> None:
        """With RDS's certificate verified for the name that is signed for."""
        trust = self._way.trust
        await stream.start_tls(trust.context, server_hostname=self.target.address.host, session=trust.session)
        if stream.tls is not None and not stream.tls.session_reused:
            self.certificate_expires = _end_of(stream.tls.getpeercert())

    def keep_tls_session(self) -> None:
        """For the next login to resume. Only at the end: TLS 1.3 sends its tickets after the handshake."""
        tls, trust = self.tls, self._way.trust
        if tls is not None and trust.wants_session(reused=bool(tls.session_reused)):
            trust.remember(tls.session, reused=bool(tls.session_reused))

    async def get_token(self) -> bytes:
        """Fetched only now, after all waiting: it is as fresh as can be."""
        self.enter(Step.CREDENTIALS)
        target = self.target
        self._token = await self._way.tokens.get(target.address, target.region, self._db_user)
        return self._token.value

    def sent_token(self) -> SentToken | None:
        """What RDS refused; None if it asked for no token. If it was old, the next login gets a new one."""
        way, token = self._way, self._token
        if token is None:
            return None
        age = way.tokens.age(token)
        is_old = age >= OLD_TOKEN_SECONDS
        if is_old:
            way.tokens.discard(self.target.address, self.target.region, self._db_user, token)
        return SentToken(age, is_old, way.clock.now(), way.clock.moved())

    def without_token(self, text: bytes) -> bytes:
        """A text of RDS's, unless it quotes the token."""
        return TOKEN_LEFT_OUT if self._token is not None and repeats_token(text, self._token.value) else text


def _end_of(certificate: Mapping[str, object] | None) -> float | None:
    return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None


def repeats_token(text: bytes, token: bytes) -> bool:
    """No part of a token belongs in a log or on a screen; what is in front of its `?` is the endpoint's name."""
    return repeats(text, token.partition(b"?")[2])
