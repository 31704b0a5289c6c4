"""The login of an ordinary client, PyMySQL, straight at RDS with the same token and the same trust. It blocks."""

import socket
import ssl

from ...config import Target
from ...logs import printable
from ...rds.attempt import TOKEN_LEFT_OUT, repeats_token

SECONDS = 10


class QueryFailed(Exception):
    """With the server's or PyMySQL's own words."""


def current_user(target: Target, db_user: str, token: bytes, context: ssl.SSLContext) -> str:
    """What SELECT CURRENT_USER() says. Raises QueryFailed."""
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
        connection.connect(socket.create_connection((target.dial.host, target.dial.port), timeout=SECONDS))
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            row = cursor.fetchone()
    except (OSError, pymysql.err.Error) as exc:
        raise QueryFailed(_words(exc, token)) from None
    return printable(str(row[0])) if row else "nobody"


def _words(exc: Exception, token: bytes) -> str:
    text = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
    return TOKEN_LEFT_OUT.decode() if repeats_token(text.encode(errors="replace"), token) else printable(text)
