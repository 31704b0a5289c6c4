"""`role_arn` against a stand-in for STS on loopback: what is asked of it, and what becomes of its answers."""

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from rds_iam_proxy.aws.credentials import Identity, Signer
from rds_iam_proxy.errors.tree import CredentialsError
from rds_iam_proxy.net.address import Address

ENDPOINT = Address("i.abc123.eu-west-1.rds.amazonaws.com", 3306)
ROLE = "arn:aws:iam::123456789012:role/batch"
DENIED = "arn:aws:iam::123456789012:role/denied"
GRANTED = (
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA{count}</AccessKeyId>"
    "<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>{expires}</Expiration>"
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
)
REFUSED = (
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/me is not authorized"
    "</Message></Error></ErrorResponse>"
)


class STS(http.server.HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, str]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: STS

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.asked.append(asked | {"scope": self.headers["Authorization"].split()[1]})
        refused = asked["RoleArn"] == DENIED
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        answer = (REFUSED if refused else GRANTED.format(count=len(self.server.asked), expires=expires)).encode()
        self.send_response(403 if refused else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def sts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[STS]:
    config = tmp_path / "config"
    config.write_text("[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with STS() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_role_is_assumed_once_in_the_region_of_the_target(sts: STS) -> None:
    signer = Signer(Identity("base", ROLE, external_id="ours", role_session_name="nightly"))
    first = signer.sign(ENDPOINT, "eu-west-1", "a", look_again=False)
    second = signer.sign(ENDPOINT, "eu-west-1", "b", look_again=False)
    assert first.access_key == second.access_key == "ASIA1"
    assert first.expires == pytest.approx(time.time() + 3600, abs=10)
    assert b"X-Amz-Security-Token=session" in first.value
    asked = sts.asked[0]
    assert (asked["RoleArn"], asked["ExternalId"], asked["RoleSessionName"]) == (ROLE, "ours", "nightly")
    assert asked["scope"].startswith("Credential=AKIABASE/")
    assert asked["scope"].endswith("/eu-west-1/sts/aws4_request,")
    assert len(sts.asked) == 1


def test_another_region_asks_its_own_sts_and_a_refused_token_asks_again(sts: STS) -> None:
    signer = Signer(Identity("base", ROLE))
    assert signer.sign(ENDPOINT, "eu-west-1", "a", look_again=False).access_key == "ASIA1"
    assert signer.sign(ENDPOINT, "us-east-1", "a", look_again=False).access_key == "ASIA2"
    assert signer.sign(ENDPOINT, "eu-west-1", "a", look_again=True).access_key == "ASIA3"
    assert sts.asked[0]["RoleSessionName"] == "rds-iam-proxy"
    assert "/us-east-1/" in sts.asked[1]["scope"]


def test_a_role_that_may_not_be_assumed_is_named_with_what_to_allow(sts: STS) -> None:
    with pytest.raises(CredentialsError) as caught:
        Signer(Identity("base", DENIED)).sign(ENDPOINT, "eu-west-1", "a", look_again=False)
    assert f"profile base may not assume {DENIED}: allow sts:AssumeRole" in caught.value.text
    assert "arn:aws:iam::1:user/me is not authorized" in caught.value.detail
