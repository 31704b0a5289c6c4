"""IAM tokens and direct logins with them: what the proxy does, done by botocore and PyMySQL for comparison."""

import datetime
import socket
import ssl
from typing import Any

import pymysql
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pymysql.connections import Connection

from servers.iam_server import IamServer
from servers.real_server import RealServer
from servers.settings import AccessKey


def sign_token(
    key: AccessKey, *, host: str, port: int, region: str, user: str, at: datetime.datetime | None = None
) -> str:
    """What botocore's generate_db_auth_token gives, but signed at any time (UTC)."""
    request = AWSRequest("GET", f"https://{host}:{port}/", params={"Action": "connect", "DBUser": user})
    credentials = Credentials(key.access_key, key.secret_key, key.session_token)
    signer = _SignedAt(credentials, region, at or datetime.datetime.now(datetime.UTC))
    signer.add_auth(request)
    return str(request.url).removeprefix("https://")


class _SignedAt(SigV4QueryAuth):
    def __init__(self, credentials: Credentials, region: str, at: datetime.datetime) -> None:
        super().__init__(credentials, "rds-db", region, expires=900)
        self._at = at

    def add_auth(self, request: AWSRequest) -> None:
        """As in botocore, with a time of our own."""
        request.context["timestamp"] = self._at.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)  # type: ignore[attr-defined]
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))  # type: ignore[attr-defined]


def server_token(server: IamServer, user: str = "user_batch") -> str:
    """A token that the server accepts now."""
    return sign_token(server.key, host=server.endpoint_host, port=server.endpoint_port, region=server.region, user=user)


def connect_directly(
    server: RealServer,
    *,
    user: str = "user_batch",
    password: str | None = None,
    source: str = "127.0.0.1",
    **options: Any,
) -> "Connection[Any]":
    """Logs in without a proxy, over verified TLS, from a loopback address.

    `password` is a token, by default a good one. MySQL's host_cache knows clients of 127.0.0.1 not at all.
    """
    connection = pymysql.connect(
        host=server.endpoint_host,  # what the certificate is checked for
        user=user,
        password=server_token(server, user) if password is None else password,
        ssl=ssl.create_default_context(cafile=str(server.ca_file)),
        defer_connect=True,
        **options,
    )
    address = (server.host, server.port)
    connection.connect(socket.create_connection(address, timeout=10, source_address=(source, 0)))
    return connection
