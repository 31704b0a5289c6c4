"""Which capabilities the client is offered, and which of those it took are asked of RDS.

After the login bytes are relayed untouched, so both legs must agree on everything that changes their format.
"""

from dataclasses import replace
from functools import lru_cache

from .constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD, Capability, MariaDBCapability
from .handshake import LoginRequest, ServerIdentity

NOT_RELAYED = (
    Capability.COMPRESS
    | Capability.SSL
    | Capability.ZSTD_COMPRESSION_ALGORITHM
    | Capability.MULTI_FACTOR_AUTHENTICATION
    | Capability.CAPABILITY_EXTENSION
    | Capability.SSL_VERIFY_SERVER_CERT
    | Capability.REMEMBER_OPTIONS
)
"""Each leg's own business, or a change of framing."""

LOGIN_CAPABILITIES = (
    Capability.PROTOCOL_41
    | Capability.PLUGIN_AUTH
    | Capability.SECURE_CONNECTION
    | Capability.PLUGIN_AUTH_LENENC_CLIENT_DATA
)

FORMAT_CAPABILITIES = (
    Capability.TRANSACTIONS
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.SESSION_TRACK
    | Capability.DEPRECATE_EOF
    | Capability.OPTIONAL_RESULTSET_METADATA
    | Capability.QUERY_ATTRIBUTES
)
"""Flags that change the bytes of commands or answers."""


@lru_cache(maxsize=256)  # clients are of a few kinds, and operations on flags are slow
def offered(upstream: ServerIdentity, *, tls: bool) -> ServerIdentity:
    """The identity for our own greeting: RDS's, less what is not relayed.

    Its plugin too: clients that know mysql_native_password alone hang up where another one is named (mysql-connector
    2.2.9, PyMySQL 0.7). MariaDB's clients always get native: our certificate is proved to them by it.
    """
    flags = upstream.capabilities & ~NOT_RELAYED | LOGIN_CAPABILITIES
    takes_sha2 = upstream.auth_plugin_name == CACHING_SHA2_PASSWORD and not upstream.is_mariadb
    return replace(
        upstream,
        capabilities=flags | Capability.SSL if tls else flags,
        auth_plugin_name=CACHING_SHA2_PASSWORD if takes_sha2 else NATIVE_PASSWORD,
    )


def asked(request: LoginRequest, upstream: ServerIdentity) -> LoginRequest:
    """The same login as RDS is to see it: only flags that RDS has, always over TLS."""
    flags = _asked_flags(request.capabilities, upstream.capabilities, request.attributes is not None)
    extended = request.mariadb_capabilities & upstream.mariadb_capabilities
    return replace(request, capabilities=flags, mariadb_capabilities=extended)


@lru_cache(maxsize=256)
def _asked_flags(client: Capability, upstream: Capability, has_attributes: bool) -> Capability:
    flags = client & upstream & ~NOT_RELAYED
    flags |= LOGIN_CAPABILITIES | Capability.SSL
    flags &= ~(Capability.CONNECT_ATTRS | Capability.LONG_PASSWORD)
    flags |= upstream & Capability.LONG_PASSWORD
    if has_attributes and Capability.CONNECT_ATTRS in upstream:
        flags |= Capability.CONNECT_ATTRS
    return flags


def same_format(request: LoginRequest, greeted_as: ServerIdentity, upstream: ServerIdentity) -> bool:
    """Whether a client that was greeted as one server can talk to this one."""
    missing = request.capabilities & ~upstream.capabilities & FORMAT_CAPABILITIES
    missing_extended = request.mariadb_capabilities & ~upstream.mariadb_capabilities
    same_family = greeted_as.is_mariadb == upstream.is_mariadb
    return same_family and not missing and missing_extended == MariaDBCapability(0)
