"""What the tests of credentials have in common: a proxy started quickly, logins, configurations."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pymysql
import pytest

from kit.aws_home import Home
from kit.running_proxy import USER, RunningProxy, config_text, start_proxy
from servers.real_server import RealServer

ACCOUNT = "arn:aws:iam::123456789012"
SSO_CONFIG = """
[profile dev]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Reader
[sso-session corp]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-central-1
sso_registration_scopes = sso:account:access
"""


@contextmanager
def proxy_with(
    rds: RealServer, home: Home, target: str = "", environment: dict[str, str] | None = None
) -> Iterator[RunningProxy]:
    """One target. The quickest there is: without Python's development mode."""
    config = config_text(rds, target=target)
    with start_proxy(config, home=home.folder, environment=environment, dev_mode=False) as proxy:
        yield proxy
        assert proxy.stop() == 0
        assert_no_secrets(proxy.log_text(), rds)


def assert_no_secrets(log: str, rds: RealServer) -> None:
    """At debug level, whatever the source of the keys."""
    assert "X-Amz-Signature" not in log
    for key in rds.settings.keys:
        for secret in (key.secret_key, key.session_token or key.secret_key):
            assert secret not in log
            assert quote(secret, safe="") not in log


def assert_login(proxy: RunningProxy, port: int | None = None) -> None:
    with proxy.connect(port=port or proxy.port) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        assert cursor.fetchone() == ("user_batch@%",)


def refusal(proxy: RunningProxy, port: int | None = None) -> tuple[int, str]:
    """The ERR of a login that must fail: code and text."""
    with pytest.raises(pymysql.err.OperationalError) as caught:
        proxy.connect(port=port or proxy.port)
    code, text = caught.value.args
    return code, text


def two_targets(rds: RealServer, first: str, second: str) -> str:
    """A configuration with the targets `first` and `second`; the lines given tell whose credentials they use."""
    parts = ['[log]\nformat = "json"\nlevel = "debug"\n']
    for name, lines in {"first": first, "second": second}.items():
        parts.append(
            f'[targets.{name}]\nendpoint = "{rds.endpoint}"\ndial = "{rds.host}:{rds.port}"\n'
            f'ca_file = "{rds.ca_file}"\n{lines}\n'
            f'[[listeners]]\nbind = "127.0.0.1:0"\ntarget = "{name}"\n'
        )
    parts.append(f'[[accounts]]\nuser = "{USER}"\npassword_env = "LEGACY_APP_PASSWORD"\ndb_user = "user_batch"\n')
    return "\n".join(parts)


def ports_of(proxy: RunningProxy) -> dict[str, int]:
    """By target."""
    proxy.wait_for("listening", count=2)
    return {entry["target"]: int(entry["address"].rpartition(":")[2]) for entry in proxy.events("listening")}
