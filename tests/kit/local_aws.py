"""One HTTP server on loopback that stands in for STS, SSO, instance metadata and the container endpoint."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from servers.settings import AccessKey

LIFE = 3600.0  # seconds; of the credentials that are handed out
CONTAINER_PATH = "/container-credentials"
CONTAINER_TOKEN = "Bearer of-the-container"
INSTANCE_ROLE = "batch-instance"
METADATA_TOKEN = "metadata-session-token"


@dataclass(frozen=True, slots=True)
class Role:
    """A role of IAM: whose key may assume it, and what it then gets."""

    arn: str
    key: AccessKey = field(repr=False)
    caller: str = ""  # access key ID; "": with a web identity only
    external_id: str | None = None
    web_identity: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came, as far as tests look at it."""

    service: str  # sts, sso, oidc, imds, container
    operation: str
    values: dict[str, str]
    caller: str = ""  # access key ID of the signature


@dataclass(slots=True)
class LocalAWS:
    """What the services hand out and to whom, and what they were asked. Change it while it runs."""

    url: str
    roles: dict[str, Role] = field(default_factory=dict)
    sso_tokens: dict[str, AccessKey] = field(default_factory=dict)  # by the access token of an SSO login
    refresh_tokens: dict[str, str] = field(default_factory=dict)  # to the access token that is given for it
    container_key: AccessKey | None = None
    instance_key: AccessKey | None = None
    asked: list[Asked] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What makes boto3 come here."""
        services = ("STS", "SSO", "SSO_OIDC")
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in services}

    def operations(self, service: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.service == service]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    values: dict[str, str]
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def caller(self) -> str:
        return self.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def local_aws() -> Iterator[LocalAWS]:
    """Runs until the context ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _serve(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, url.path, dict(parse_qsl(url.query)), headers, body)
            answer = answer_to(request, aws)
            content = answer.content.encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        aws = LocalAWS(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield aws
        server.shutdown()
        thread.join()


def answer_to(request: Request, aws: LocalAWS) -> Answer:
    """Which service is meant shows in the path."""
    if request.path == "/federation/credentials":
        return _get_role_credentials(request, aws)
    if request.path == "/token":
        return _create_token(request, aws)
    if request.path == CONTAINER_PATH:
        return _container(request, aws)
    if request.path.startswith("/latest/"):
        return _instance_metadata(request, aws)
    return _sts(request, aws)


def _sts(request: Request, aws: LocalAWS) -> Answer:
    asked = dict(parse_qsl(request.body.decode()))
    action = asked.get("Action", "")
    aws.asked.append(Asked("sts", action, asked, request.caller))
    if action == "GetCallerIdentity":
        arn = f"arn:aws:sts::123456789012:assumed-role/x/{request.caller}"
        return _xml(action, f"<Arn>{arn}</Arn><UserId>{request.caller}</UserId><Account>123456789012</Account>")
    role = aws.roles.get(asked.get("RoleArn", ""))
    if role is None or not _may_assume(role, action, asked, request):
        who = f"User: arn:aws:iam::123456789012:user/{request.caller} is not authorized to perform: sts:{action}"
        error = f"<Error><Code>AccessDenied</Code><Message>{who}</Message></Error>"
        return Answer(403, f"<ErrorResponse>{error}</ErrorResponse>", "text/xml")
    return _xml(
        action,
        f"<Credentials><AccessKeyId>{role.key.access_key}</AccessKeyId>"
        f"<SecretAccessKey>{role.key.secret_key}</SecretAccessKey>"
        f"<SessionToken>{role.key.session_token}</SessionToken><Expiration>{_until()}</Expiration></Credentials>",
    )


def _may_assume(role: Role, action: str, asked: dict[str, str], request: Request) -> bool:
    if action == "AssumeRoleWithWebIdentity":
        return role.web_identity is not None and asked["WebIdentityToken"] == role.web_identity
    return request.caller == role.caller and asked.get("ExternalId") == role.external_id


def _xml(action: str, result: str) -> Answer:
    return Answer(200, f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>", "text/xml")


def _get_role_credentials(request: Request, aws: LocalAWS) -> Answer:
    aws.asked.append(Asked("sso", "GetRoleCredentials", request.values))
    key = aws.sso_tokens.get(request.headers.get("x-amz-sso_bearer_token", ""))
    if key is None:
        error = json.dumps({"message": "Session token not found or invalid"})
        return Answer(401, error, headers={"x-amzn-ErrorType": "UnauthorizedException"})
    credentials = {
        "accessKeyId": key.access_key,
        "secretAccessKey": key.secret_key,
        "sessionToken": key.session_token,
        "expiration": int((time.time() + LIFE) * 1000),
    }
    return Answer(200, json.dumps({"roleCredentials": credentials}))


def _create_token(request: Request, aws: LocalAWS) -> Answer:
    asked = json.loads(request.body)
    aws.asked.append(Asked("oidc", "CreateToken", asked))
    token = aws.refresh_tokens.get(asked["refreshToken"])
    if token is None:
        return Answer(
            400, json.dumps({"error": "invalid_grant"}), headers={"x-amzn-ErrorType": "InvalidGrantException"}
        )
    answer = {"accessToken": token, "expiresIn": int(LIFE), "refreshToken": asked["refreshToken"]}
    return Answer(200, json.dumps({**answer, "tokenType": "Bearer"}))


def _container(request: Request, aws: LocalAWS) -> Answer:
    aws.asked.append(Asked("container", request.method, {}))
    if aws.container_key is None or request.headers.get("authorization") != CONTAINER_TOKEN:
        return Answer(403, json.dumps({"message": "not authorized"}))
    return Answer(200, json.dumps({**_json_key(aws.container_key), "RoleArn": "arn:aws:iam::123456789012:role/task"}))


def _instance_metadata(request: Request, aws: LocalAWS) -> Answer:
    """IMDSv2: nothing without the token of a PUT."""
    aws.asked.append(Asked("imds", f"{request.method} {request.path}", {}))
    if request.path == "/latest/api/token":
        refused = request.method != "PUT" or "x-aws-ec2-metadata-token-ttl-seconds" not in request.headers
        return Answer(405 if refused else 200, METADATA_TOKEN, "text/plain")
    if request.headers.get("x-aws-ec2-metadata-token") != METADATA_TOKEN:
        return Answer(401)
    folder = "/latest/meta-data/iam/security-credentials/"
    if aws.instance_key is None or not request.path.startswith(folder):
        return Answer(404)
    if request.path == folder:
        return Answer(200, INSTANCE_ROLE, "text/plain")
    return Answer(200, json.dumps({**_json_key(aws.instance_key), "Code": "Success", "Type": "AWS-HMAC"}))


def _json_key(key: AccessKey) -> dict[str, str | None]:
    return {
        "AccessKeyId": key.access_key,
        "SecretAccessKey": key.secret_key,
        "Token": key.session_token,
        "Expiration": _until(),
    }


def _until() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LIFE))
