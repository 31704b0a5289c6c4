"""A second login straight at RDS, with the same trust, and one question: who am I?"""

import asyncio
import socket
import ssl
from pathlib import Path

from ...config import Target
from ...errors.tree import LoginError
from ...logs import printable
from ...net.address import Address
from ...rds.attempt import TOKEN_LEFT_OUT, repeats_token
from ...rds.login import Way

SECONDS = 10


class QueryFailed(Exception):
    """With the server's or PyMySQL's own words."""


def current_user(target: Target, db_user: str, token: bytes, context: ssl.SSLContext) -> str:
    """MySQL: what an ordinary client's SELECT CURRENT_USER() says. It blocks. Raises QueryFailed."""
    import pymysql

    connection = pymysql.connect(
        host=target.address.host,  # the name that the certificate is checked for; `dial` is where the socket goes
        user=db_user,
        password=token.decode("ascii"),
        ssl=context,
        read_timeout=SECONDS,
        write_timeout=SECONDS,
        defer_connect=True,
    )
    try:
        connection.connect(_connected(target.dial))
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            row = cursor.fetchone()
    except (OSError, pymysql.err.Error) as exc:
        raise QueryFailed(_words(exc, token)) from None
    return printable(str(row[0])) if row else "nobody"


async def postgres_user(way: Way, db_user: str) -> str:
    """PostgreSQL: what `SELECT current_user` says. Raises QueryFailed, TimeoutError."""
    from pg_wire.errors import RemoteProtocolError

    from ...postgres.question import Failed, ask
    from ...postgres.rds_login import ASKS_NOTHING, RDSLogin

    try:
        async with asyncio.timeout(2 * SECONDS):
            session = await RDSLogin(way, db_user, ASKS_NOTHING).run()
            try:
                user = await ask(session.stream, "SELECT current_user")
            finally:
                await session.quit()
    except (LoginError, Failed, RemoteProtocolError, OSError) as exc:
        raise QueryFailed(printable(str(exc))) from None
    return printable(user)


def _connected(dial: Address | Path) -> socket.socket:
    """Raises OSError."""
    if isinstance(dial, Address):
        return socket.create_connection((dial.host, dial.port), timeout=SECONDS)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(SECONDS)
        sock.connect(str(dial))
    except BaseException:
        sock.close()
        raise
    return sock


def _words(exc: Exception, token: bytes) -> str:
    text = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
    return TOKEN_LEFT_OUT.decode() if repeats_token(text.encode(errors="replace"), token) else printable(text)
