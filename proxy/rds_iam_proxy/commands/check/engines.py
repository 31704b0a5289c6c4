"""What `check` does in another way for each kind of database: a login, and what it shows."""

import ssl
from typing import Any, Protocol

from ...config import Engine, Target
from ...rds.login import Login, OnStep, Way

_STEPS: dict[Engine, tuple[str, ...]] = {
    "mysql": ("TCP", "greeting", "TLS", "token", "login"),
    "postgres": ("TCP", "TLS", "token", "login"),
}


class ShownLogin(Login[Any], Protocol):
    """A login that shows what it met."""

    @property
    def server(self) -> tuple[str, int] | None: ...

    @property
    def tls(self) -> ssl.SSLSocket | None: ...

    @property
    def version(self) -> str:
        """The server's, fit to be shown, once it is known."""


def steps_of(target: Target) -> tuple[str, ...]:
    """Of one login, in their order. PostgreSQL's server waits for the client to speak."""
    return _STEPS[target.engine]


def login_of(way: Way, db_user: str, on_step: OnStep) -> ShownLogin:
    """As this DB user, for nothing but to see whether it gets in."""
    if way.target.engine == "postgres":
        from ...postgres import rds_login as postgres

        return postgres.RDSLogin(way, db_user, postgres.ASKS_NOTHING, on_step)
    from ...mysql import rds_login as mysql

    return mysql.RDSLogin(way, db_user, mysql.ASKS_NOTHING, on_step)
