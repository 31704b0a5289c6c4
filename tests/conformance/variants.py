"""The other ways to log in, each with one `SELECT 1`, and many logins in a row; made into checks like the script's."""

import itertools
from typing import Any

from conformance.ground import DIRECT_PLUGIN, NATIVE_USER, SHA2_USER, Ground
from conformance.script import CHECKS, LOGINS, SIDES, Action, Check, Side, act, connect, query

ONE = query("SELECT 1", rows=(("1",),))
METHODS = {"native": ("mysql_native_password", NATIVE_USER), "caching_sha2": ("caching_sha2_password", SHA2_USER)}


def variant_name(method: str, *, tls: bool, database: bool) -> str:
    return f"login: {method}, {'TLS' if tls else 'no TLS'}, {'a database' if database else 'no database'}"


def variants(family: str) -> tuple[Check, ...]:
    """Through the proxy all; directly those with the method that the server itself has."""
    checks: list[Check] = []
    for method, tls, database in itertools.product(METHODS, (False, True), (True, False)):
        plugin, user = METHODS[method]
        is_own = plugin == DIRECT_PLUGIN[family]
        sides: tuple[Side, ...] = SIDES if is_own else ("proxy",)
        changes: dict[str, Any] = {"tls": tls, "user": user}
        if not database:
            changes["database"] = None
        actions: tuple[Action, ...] = (connect(**changes), ONE)
        checks.append(Check(variant_name(method, tls=tls, database=database), actions, sides=sides))
    return tuple(checks)


def logins() -> Check:
    return Check(f"{LOGINS} logins in a row", (act("logins", count=LOGINS),))


def all_checks(ground: Ground, client: str) -> tuple[Check, ...]:
    """What one client runs on one server."""
    family = ground.server.family
    script = [check for check in CHECKS if family in check.families and (not check.only or client in check.only)]
    return (*script, *variants(family), logins())
