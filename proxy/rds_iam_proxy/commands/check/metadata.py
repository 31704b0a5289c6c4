"""Asks the metadata service of an EC2 instance whether it would give credentials. Shows none; blocks: for a thread.

By hand and past HTTP_PROXY, because boto3 tells only that there was nothing.
"""

import http.client
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlsplit

from ...aws.sources import METADATA_HOST, Source, metadata_goes_by_proxy
from ...logs import printable

ANSWER_SECONDS = 1.0
"""As boto3 waits."""

_NAME = "metadata service"
_ROLE = "/latest/meta-data/iam/security-credentials/"
_TOKEN = "/latest/api/token"  # noqa: S105 - a path
_HOPS = (
    "a container is one hop further away, so the hop limit must be 2: `aws ec2 modify-instance-metadata-options"
    " --instance-id ID --http-put-response-hop-limit 2`"
)


def metadata_service(environ: Mapping[str, str]) -> Source:
    """What it says."""
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return Source(_NAME, "not asked, because of AWS_EC2_METADATA_DISABLED")
    host = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or f"http://{METADATA_HOST}"
    try:
        outcome = _asked(urlsplit(host).netloc)
    except ValueError:
        outcome = "AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL"
    if metadata_goes_by_proxy(environ):
        outcome += f"; but boto3 asks it through HTTP_PROXY: add {METADATA_HOST} to NO_PROXY"
    return Source(_NAME, outcome)


def _asked(host: str) -> str:
    try:
        code, token = _answer(host, "PUT", _TOKEN, {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    except TimeoutError:
        return f"gives no token, though it answers: {_HOPS}" if _answers(host) else "does not answer"
    except (OSError, ValueError, http.client.HTTPException) as exc:
        return f"does not answer ({getattr(exc, 'strerror', None) or type(exc).__name__})"
    if code != http.client.OK:
        return f"gives no token (HTTP status {code})"
    try:
        code, role = _answer(host, "GET", _ROLE, {"X-aws-ec2-metadata-token": token})
    except (OSError, ValueError, http.client.HTTPException):
        return "gives a token, but no answer to it"
    if code == http.client.NOT_FOUND:
        return "no role is attached to the instance"
    return f"has role {printable(role)}" if code == http.client.OK else f"names no role (HTTP status {code})"


def _answers(host: str) -> bool:
    """Whether it answers a request without a token: its answers to those may go further than tokens do."""
    try:
        _answer(host, "GET", "/", {})
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return True


def _answer(host: str, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(host, timeout=ANSWER_SECONDS)) as connection:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read(4096).decode("ascii", "replace").strip()
