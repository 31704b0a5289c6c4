from pathlib import Path

import pytest

from rds_iam_proxy.aws.sources import drop_empty_variables, metadata_goes_by_proxy, sources

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYSECRETKEY"


def seen(environ: dict[str, str], profile: str | None = None) -> dict[str, str]:
    return {source.name: source.outcome for source in sources(profile, environ)}


def test_each_place_says_what_is_there_and_shows_no_value(tmp_path: Path) -> None:
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile dev]\nsso_session = x\n[default]\nregion = eu-west-1\n")
    environ = {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_ACCESS_KEY_ID": "AKIAENV",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/db",
    }
    found = seen(environ)
    assert list(found) == ["environment", "web identity", str(credentials), str(config), "container"]
    assert found["environment"] == "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"
    assert found["web identity"].startswith(f"{tmp_path}/token cannot be read: No such file or directory (this process")
    assert found[str(credentials)].startswith("No such file or directory (this process is user ")
    assert found[str(config)] == "profile default has no credentials"
    assert "are not set" in found["container"]

    credentials.write_text(f"[dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = {SECRET}\n")
    environ |= {"AWS_PROFILE": "dev", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x"}
    found = seen(environ)
    assert found[str(config)] == "profile dev has sso_session"
    assert found[str(credentials)] == "profile dev has aws_access_key_id"
    assert found["container"] == "AWS_CONTAINER_CREDENTIALS_FULL_URI is set"
    assert SECRET not in str(found)
    assert seen(environ, "other")[str(config)] == "no profile other"
    assert seen(environ, "other")["environment"] == "not looked at, because a profile is named"

    config.write_text("[broken\n")
    assert seen(environ)[str(config)] == "cannot be parsed"
    config.unlink()
    config.mkdir()
    assert seen(environ)[str(config)].startswith("Is a directory")


def test_nothing_is_set() -> None:
    found = seen({})
    assert found["environment"] == "AWS_ACCESS_KEY_ID is not set"
    assert found["web identity"] == "AWS_WEB_IDENTITY_TOKEN_FILE is not set"


def test_empty_variables_of_aws_are_dropped_and_no_others() -> None:
    environ = {"AWS_PROFILE": "", "AWS_REGION": "eu-west-1", "PATH": ""}
    drop_empty_variables(environ)
    assert environ == {"AWS_REGION": "eu-west-1", "PATH": ""}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"HTTPS_PROXY": "http://x"}, False),
        ({"HTTP_PROXY": ""}, False),
        ({"HTTP_PROXY": "http://x"}, True),
        ({"http_proxy": "http://x", "NO_PROXY": "localhost"}, True),
        ({"http_proxy": "http://x", "no_proxy": "localhost, 169.254.169.254"}, False),
        ({"http_proxy": "http://x", "no_proxy": "*"}, False),
    ],
)
def test_whether_the_metadata_service_is_asked_through_a_proxy(environ: dict[str, str], expected: bool) -> None:
    assert metadata_goes_by_proxy(environ) == expected
