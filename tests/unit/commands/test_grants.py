import pytest

from rds_iam_proxy.commands.grants import grants
from rds_iam_proxy.config import Engine
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.net.address import Address

ENDPOINT = Address("test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com", 3306)


@pytest.mark.parametrize(
    "resource", ["db-ABCDEFGHIJKL01234", "cluster-CO4FHMXYKJCH5UTLWPRBZ3GYQA", "prx-abcdef01234567890"]
)
def test_ids_as_aws_makes_them_are_taken(resource: str) -> None:
    text = grants(ENDPOINT, "app", region=None, account="123456789012", resource=resource)
    assert f":123456789012:dbuser:{resource}/app" in text


@pytest.mark.parametrize(
    "resource", ["test-rds-1", "db-test-rds-1", "db-db-ABCDEFGHIJKL01234", "ABCDEFGHIJKL01234", "db-", ""]
)
@pytest.mark.parametrize("account", ["12", "1234567890123", "12345678901x", "my-account"])
def test_ids_that_cannot_be_are_named_both_at_once(account: str, resource: str) -> None:
    with pytest.raises(ConfigError) as caught:
        grants(ENDPOINT, "app", region=None, account=account, resource=resource)
    first, second = caught.value.faults
    assert first.startswith("--account-id: an AWS account has 12 digits")
    assert second.startswith("--resource-id: ")
    assert "aws rds describe-db-instances" in second


@pytest.mark.parametrize("engine", ["mysql", "postgres"])
@pytest.mark.parametrize("end", ["\n", "\r", "\u2028", "\x0b", "\x1b[8m", "\0"])
def test_a_name_does_not_end_the_comment_it_stands_in(engine: Engine, end: str) -> None:
    """The example of a GRANT is one: a second line of it would run."""
    with pytest.raises(ConfigError, match="--db-user: has a line end"):
        grants(ENDPOINT, f"app{end}DROP DATABASE shop; --", engine, region=None, account=None, resource=None)


@pytest.mark.parametrize("name", ["*", "app_?", "${aws:username}"])
def test_a_name_that_is_a_pattern_makes_no_policy(name: str) -> None:
    """It would let its identity log in as others."""
    with pytest.raises(ConfigError, match=r"--db-user: .* stand for other users"):
        grants(ENDPOINT, name, region=None, account=None, resource=None)


def test_quotes_in_a_name_stay_in_it() -> None:
    text = grants(ENDPOINT, "o'neil", region=None, account=None, resource=None)
    assert "CREATE USER 'o''neil'@'%'" in text
    text = grants(ENDPOINT, 'o"neil', "postgres", region=None, account=None, resource=None)
    assert 'CREATE USER "o""neil" WITH LOGIN' in text
