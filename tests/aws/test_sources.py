"""Each source of credentials, through to a login at a real server that knows only the key of that source."""

from kit.aws_home import Home
from kit.aws_login import ACCOUNT, SSO_CONFIG, assert_login, proxy_with
from kit.local_aws import CONTAINER_PATH, CONTAINER_TOKEN, LocalAWS, Role
from kit.running_proxy import config_text, start_proxy
from servers.real_server import RealServer, make_key
from servers.settings import AccessKey


def only_key(rds: RealServer) -> AccessKey:
    """A new key, the only one that the server knows."""
    return rds.rotate_key()


def static_key() -> AccessKey:
    """A key that only the stand-ins know: the server must not see it."""
    return AccessKey("AKIABASEBASEBASEBASE", make_key().secret_key)


def test_environment(rds: RealServer, home: Home) -> None:
    with proxy_with(rds, home, environment=only_key(rds).environment()) as proxy:
        assert_login(proxy)


def test_default_profile_of_the_shared_files(rds: RealServer, home: Home) -> None:
    home.credentials(default=only_key(rds))
    with proxy_with(rds, home) as proxy:
        assert_login(proxy)


def test_profile_by_name_wins_over_the_environment(rds: RealServer, home: Home) -> None:
    home.credentials(default=make_key(), batch=only_key(rds))
    with proxy_with(rds, home, 'profile = "batch"', make_key().environment()) as proxy:
        assert_login(proxy)


def test_profile_of_the_environment(rds: RealServer, home: Home) -> None:
    home.credentials(default=make_key(), batch=only_key(rds))
    with proxy_with(rds, home, environment={"AWS_PROFILE": "batch"}) as proxy:
        assert_login(proxy)


def test_role_with_external_id_and_session_name(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    base, arn = static_key(), f"{ACCOUNT}:role/batch"
    aws.roles[arn] = Role(arn, only_key(rds), caller=base.access_key, external_id="ours")
    home.credentials(base=base)
    target = f'profile = "base"\nrole_arn = "{arn}"\nexternal_id = "ours"\nrole_session_name = "nightly"'
    with proxy_with(rds, home, target, aws.environment()) as proxy:
        assert_login(proxy)
    asked = aws.operations("sts")
    assert [request.operation for request in asked] == ["AssumeRole"], "once for all logins"
    assert asked[0].values["RoleSessionName"] == "nightly"


def test_chained_source_profiles(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    """The target's role is assumed with the role of a profile, whose source is another profile's role."""
    base, first, second = static_key(), make_key(), make_key()
    hub, spoke, batch = (f"{ACCOUNT}:role/{name}" for name in ("hub", "spoke", "batch"))
    aws.roles[hub] = Role(hub, first, caller=base.access_key)
    aws.roles[spoke] = Role(spoke, second, caller=first.access_key, external_id="theirs")
    aws.roles[batch] = Role(batch, only_key(rds), caller=second.access_key)
    home.credentials(base=base)
    home.config(
        f"[profile hub]\nrole_arn = {hub}\nsource_profile = base\n"
        f"[profile spoke]\nrole_arn = {spoke}\nsource_profile = hub\nexternal_id = theirs\n"
    )
    with proxy_with(rds, home, f'profile = "spoke"\nrole_arn = "{batch}"', aws.environment()) as proxy:
        assert_login(proxy)
    assert [request.values["RoleArn"] for request in aws.operations("sts")] == [hub, spoke, batch]


def test_sso(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    home.config(SSO_CONFIG)
    home.sso_login("corp", "sso-access-token")
    aws.sso_tokens["sso-access-token"] = only_key(rds)
    with proxy_with(rds, home, 'profile = "dev"', aws.environment()) as proxy:
        assert_login(proxy)
    assert aws.operations("sso")[0].values == {"role_name": "Reader", "account_id": "123456789012"}


def test_sso_login_that_ends_is_prolonged_with_its_refresh_token(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    home.config(SSO_CONFIG)
    home.sso_login("corp", "old-access-token", life=-60, refresh_token="refresh")
    aws.refresh_tokens["refresh"] = "new-access-token"
    aws.sso_tokens["new-access-token"] = only_key(rds)
    with proxy_with(rds, home, 'profile = "dev"', aws.environment()) as proxy:
        assert_login(proxy)
    assert len(aws.operations("oidc")) == 1


def test_web_identity(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    """As EKS sets it up for a pod's service account."""
    arn, token = f"{ACCOUNT}:role/pod", home.folder / "web-identity-token"
    token.write_text("eyJ.of-the-cluster")
    aws.roles[arn] = Role(arn, only_key(rds), web_identity="eyJ.of-the-cluster")
    environment = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": arn, "AWS_ROLE_SESSION_NAME": "pod-7"}
    with proxy_with(rds, home, environment=environment | aws.environment()) as proxy:
        assert_login(proxy)
    assert [request.operation for request in aws.operations("sts")] == ["AssumeRoleWithWebIdentity"]


def test_container(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    """As ECS and EKS Pod Identity set it up."""
    aws.container_key = only_key(rds)
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + CONTAINER_PATH,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": CONTAINER_TOKEN,
    }
    with proxy_with(rds, home, environment=environment) as proxy:
        assert_login(proxy)


def test_ec2_role(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    aws.instance_key = only_key(rds)
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url, "AWS_EC2_METADATA_DISABLED": "false"}
    with proxy_with(rds, home, environment=environment) as proxy:
        assert_login(proxy)
    assert aws.operations("imds")[0].operation == "PUT /latest/api/token"


def test_credential_process_of_aws_vault(rds: RealServer, home: Home) -> None:
    home.install_vault(vaulted=only_key(rds))
    home.config(f"[profile batch]\ncredential_process = {home.vault} export --format=json vaulted\n")
    with proxy_with(rds, home, 'profile = "batch"') as proxy:
        assert_login(proxy)


def test_role_whose_source_profile_is_a_credential_process(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    base, arn = make_key(), f"{ACCOUNT}:role/batch"
    aws.roles[arn] = Role(arn, only_key(rds), caller=base.access_key)
    home.install_vault(base=base)
    home.config(
        f"[profile base]\ncredential_process = {home.vault} export --format=json base\n"
        f"[profile batch]\nrole_arn = {arn}\nsource_profile = base\n"
    )
    with proxy_with(rds, home, 'profile = "batch"', aws.environment()) as proxy:
        assert_login(proxy)


def test_proxy_inside_aws_vault_exec(rds: RealServer, home: Home) -> None:
    home.install_vault(dev=only_key(rds))
    wrapper = (str(home.vault), "exec", "dev", "--")
    with start_proxy(config_text(rds), home=home.folder, wrapper=wrapper, dev_mode=False) as proxy:
        assert_login(proxy)
        assert proxy.stop() == 0
