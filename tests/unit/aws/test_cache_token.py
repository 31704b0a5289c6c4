"""Tokens for ElastiCache and MemoryDB, without AWS: what is signed, for whom."""

from urllib.parse import parse_qs

import pytest

from rds_iam_proxy.aws.cache_token import CacheUser, cache_token
from rds_iam_proxy.aws.credentials import Identity


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key-example")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.mark.parametrize(
    ("host", "service", "resource"),
    [
        ("master.my-cache.abc.euc1.cache.amazonaws.com", "elasticache", None),
        ("my-cache-abc.serverless.euc1.cache.amazonaws.com", "elasticache", ["ServerlessCache"]),
        ("clustercfg.my-cache.abc.memorydb.eu-central-1.amazonaws.com", "memorydb", None),
    ],
)
async def test_a_token_is_a_presigned_request_without_its_scheme(
    host: str, service: str, resource: list[str] | None
) -> None:
    user, token = await cache_token(CacheUser("My-Cache", "proxy", host), "eu-central-1", Identity())
    assert user == "proxy"
    name, _, query = token.partition("/?")
    fields = parse_qs(query)
    assert name == "my-cache"
    assert fields["Action"] == ["connect"]
    assert fields["User"] == ["proxy"]
    assert fields.get("ResourceType") == resource
    assert fields["X-Amz-Expires"] == ["900"]
    assert f"/eu-central-1/{service}/aws4_request" in fields["X-Amz-Credential"][0]
    assert len(fields["X-Amz-Signature"][0]) == 64
