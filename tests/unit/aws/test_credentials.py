import json
import logging
import os
import re
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import botocore.exceptions
import pytest

from rds_iam_proxy.aws.clock import boottime
from rds_iam_proxy.aws.credentials import STATIC_LIFE_SECONDS, Identity, Signer, explain, quiet_boto
from rds_iam_proxy.errors.tree import CredentialsError
from rds_iam_proxy.machine import Machine
from rds_iam_proxy.net.address import Address

ENDPOINT = Address("test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com", 3306)
REGION = "ap-northeast-2"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYSECRETKEY"
SESSION_TOKEN = "FwoGZXIvYXdzEBYaD//SESSION+TOKEN=="


class AWSFiles:
    """The two shared files of AWS's tools, in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        self.credentials = folder / "credentials"
        self._written = 1_000_000_000

    def write(self, path: Path, text: str) -> None:
        path.write_text(text)
        self._written += 1_000_000_000  # a time of its own for each version, however coarse the file system's is
        os.utime(path, ns=(self._written, self._written))

    def keys(self, access_key: str, profile: str = "default") -> None:
        self.write(
            self.credentials,
            f"[{profile}]\naws_access_key_id={access_key}\naws_secret_access_key={SECRET}\n"
            f"aws_session_token={SESSION_TOKEN}\n",
        )


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AWSFiles:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    files = AWSFiles(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(files.config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files.credentials))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return files


def sign(signer: Signer, *, look_again: bool = False) -> dict[str, str]:
    """The parts of a token's query."""
    value = signer.sign(ENDPOINT, REGION, "user batch", look_again=look_again).value.decode()
    return {name: values[0] for name, values in parse_qs(urlsplit("https://" + value).query).items()}


def access_key(signer: Signer, *, look_again: bool = False) -> str:
    return sign(signer, look_again=look_again)["X-Amz-Credential"].partition("/")[0]


def test_tokens_are_those_of_generate_db_auth_token(aws: AWSFiles) -> None:
    aws.keys("AKIAONE")
    signer = Signer(Identity())
    client = boto3.client("rds", region_name=REGION)
    for _ in range(5):  # both carry the second of signing, and a second may pass in between
        ours = signer.sign(ENDPOINT, REGION, "user/batch@ü", look_again=False).value.decode()
        theirs = client.generate_db_auth_token(ENDPOINT.host, ENDPOINT.port, "user/batch@ü", REGION)
        if date(ours) == date(theirs):
            break
    assert ours == theirs


def date(token: str) -> str:
    found = re.search(r"X-Amz-Date=(\w+)", token)
    assert found is not None
    return found[1]


def test_a_token_names_host_port_region_user_and_session(aws: AWSFiles) -> None:
    aws.keys("AKIAONE")
    value = Signer(Identity()).sign(ENDPOINT, REGION, "user batch", look_again=False).value.decode()
    assert value.startswith(f"{ENDPOINT.host}:3306/?")
    query = sign(Signer(Identity()))
    assert query["DBUser"] == "user batch"
    assert query["X-Amz-Expires"] == "900"
    assert query["X-Amz-Security-Token"] == SESSION_TOKEN
    assert query["X-Amz-Credential"].split("/")[2:] == [REGION, "rds-db", "aws4_request"]


def test_signing_time_and_expiry_of_the_credentials_come_with_the_token(
    aws: AWSFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires = int(time.time()) + 7200
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)))
    before = time.time(), boottime()
    signed = Signer(Identity()).sign(ENDPOINT, REGION, "u", look_again=False)
    assert signed.access_key == "AKIAENV"
    assert signed.expires == expires
    assert before <= (signed.wall, signed.boot) <= (time.time(), boottime())


def test_a_profile_wins_over_keys_in_the_environment(aws: AWSFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    aws.keys("AKIADEV", "dev")
    assert access_key(Signer(Identity("dev"))) == "AKIADEV"
    assert access_key(Signer(Identity())) == "AKIAENV"


def test_keys_rotated_on_disk_are_seen_at_once(aws: AWSFiles) -> None:
    aws.keys("AKIAONE")
    signer = Signer(Identity())
    before = signer.stamp()
    assert access_key(signer) == "AKIAONE"
    aws.keys("AKIATWO")
    assert signer.stamp() != before
    assert access_key(signer) == "AKIATWO"


def test_missing_files_have_a_stamp_too(tmp_path: Path) -> None:
    environ = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    assert Signer(Identity(), environ=environ).stamp() == (None, None)


def process_profile(aws: AWSFiles, folder: Path, answer: dict[str, object]) -> Path:
    """A profile `p` whose credential_process prints what is in the returned file."""
    path = folder / "answer.json"
    path.write_text(json.dumps(answer))
    aws.write(aws.config, f"[profile p]\ncredential_process = cat {path}\n")
    return path


def test_credential_process_without_expiry_is_asked_again_after_a_minute(aws: AWSFiles, tmp_path: Path) -> None:
    now = [1000.0]
    answer: dict[str, object] = {"Version": 1, "AccessKeyId": "AKIAONE", "SecretAccessKey": SECRET}
    path = process_profile(aws, tmp_path, answer)
    signer = Signer(Identity("p"), boot=lambda: now[0])
    assert access_key(signer) == "AKIAONE"
    path.write_text(json.dumps(answer | {"AccessKeyId": "AKIATWO"}))
    assert access_key(signer) == "AKIAONE"
    now[0] += STATIC_LIFE_SECONDS
    assert access_key(signer) == "AKIATWO"


def test_credentials_with_an_expiry_are_kept_until_a_token_is_refused(aws: AWSFiles, tmp_path: Path) -> None:
    now, started = [1000.0], time.time() - 1000
    answer: dict[str, object] = {
        "Version": 1,
        "AccessKeyId": "ASIAONE",
        "SecretAccessKey": SECRET,
        "SessionToken": SESSION_TOKEN,
        "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200)),
    }
    path = process_profile(aws, tmp_path, answer)
    signer = Signer(Identity("p"), wall=lambda: started + now[0], boot=lambda: now[0])
    assert access_key(signer) == "ASIAONE"
    path.write_text(json.dumps(answer | {"AccessKeyId": "ASIATWO"}))
    now[0] += 3000
    assert access_key(signer) == "ASIAONE"
    assert access_key(signer, look_again=True) == "ASIATWO"


@pytest.mark.parametrize("step", [3600, -3600], ids=["forward", "back"])
def test_credentials_are_looked_up_again_when_the_clock_was_set(step: int, aws: AWSFiles, tmp_path: Path) -> None:
    """botocore renews them by the wall clock alone: after a step back it would keep those that have ended."""
    clock = [time.time()]
    answer: dict[str, object] = {
        "Version": 1,
        "AccessKeyId": "ASIAONE",
        "SecretAccessKey": SECRET,
        "SessionToken": SESSION_TOKEN,
        "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200)),
    }
    path = process_profile(aws, tmp_path, answer)
    signer = Signer(Identity("p"), wall=lambda: clock[0], boot=lambda: 1000.0)
    assert access_key(signer) == "ASIAONE"
    path.write_text(json.dumps(answer | {"AccessKeyId": "ASIATWO"}))
    clock[0] += 59  # NTP may do that
    assert access_key(signer) == "ASIAONE"
    clock[0] += step
    assert access_key(signer) == "ASIATWO"


def fails(signer: Signer) -> CredentialsError:
    with pytest.raises(CredentialsError) as caught:
        sign(signer)
    return caught.value


def test_without_credentials_the_error_says_how_to_get_some_and_the_next_login_works(aws: AWSFiles) -> None:
    signer = Signer(Identity(), machine=Machine.OTHER)
    fault = fails(signer)
    assert f"looked in {aws.config.parent} as user {os.geteuid()}" in fault.text
    assert "no AWS credentials found" in fault.text
    assert "`aws sso login`" in fault.text
    aws.keys("AKIAONE")
    assert access_key(signer) == "AKIAONE"


PROXY = {"HTTP_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("machine", "environ", "row", "says"),
    [
        (Machine.CONTAINER, {}, "no-credentials-in-container", "the metadata service needs a hop limit of 2"),
        (Machine.INSTANCE, {}, "no-credentials-of-instance", "attach a role to the instance"),
        (Machine.INSTANCE, PROXY, "metadata-by-proxy", "NO_PROXY=169.254.169.254,169.254.170.2"),
        (Machine.CONTAINER, {"http_proxy": "http://x"}, "metadata-by-proxy", "NO_PROXY=169.254.169.254"),
        (Machine.INSTANCE, {**PROXY, "NO_PROXY": "a, 169.254.169.254"}, "no-credentials-of-instance", "attach a role"),
        (Machine.OTHER, PROXY, "no-credentials", "run `aws configure`"),
    ],
)
def test_what_to_do_without_credentials_depends_on_the_machine(
    machine: Machine, environ: dict[str, str], row: str, says: str
) -> None:
    for identity in (Identity(), Identity("x" * 64)):
        fault = explain(botocore.exceptions.NoCredentialsError(), identity, environ=environ, machine=machine)
        assert (fault.row.key, len(fault.shown.encode()) <= 400) == (row, True)
        assert says in fault.text
        assert "aws configure" not in fault.text or row == "no-credentials", "advice that can be followed there"


def test_metadata_service_that_gives_nothing_through_a_proxy_is_said() -> None:
    exc = botocore.exceptions.MetadataRetrievalError(error_msg=SECRET)
    assert explain(exc, Identity(), environ=PROXY).row.key == "metadata-by-proxy"
    assert explain(exc, Identity(), environ={}).row.key == "no-role-attached"


def test_empty_variables_are_not_set(aws: AWSFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.keys("AKIAONE")
    monkeypatch.setenv("HOME", str(aws.config.parent))
    (aws.config.parent / ".aws").mkdir()
    aws.credentials.rename(aws.config.parent / ".aws" / "credentials")
    for name in (
        *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
        *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL"),
    ):
        monkeypatch.setenv(name, "")
    assert access_key(Signer(Identity())) == "AKIAONE"


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_profile_of_a_variable_is_named_with_it(aws: AWSFiles, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "tpyo")
    fault = fails(Signer(Identity()))
    assert fault.row.key == "no-profile"
    assert f"there is no AWS profile tpyo of {variable};" in fault.text


@pytest.mark.parametrize(("end", "character"), [("\n", "a line end"), (" ", "a space"), ("'", "a quote")])
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_variable_that_was_copied_with_more_is_named_and_not_shown(
    aws: AWSFiles, monkeypatch: pytest.MonkeyPatch, name: str, end: str, character: str
) -> None:
    values = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SESSION_TOKEN}
    for variable, value in values.items():
        monkeypatch.setenv(variable, value + end * (variable == name))
    fault = fails(Signer(Identity()))
    assert fault.row.key == "odd-credentials"
    assert fault.text.startswith(f"{name} (default credentials) has {character} in it")
    assert not any(value in fault.text + fault.detail for value in values.values())


@pytest.mark.parametrize("identity", [Identity(), Identity(role_arn="arn:aws:iam::123456789012:role/db")])
def test_quotes_in_the_files_are_said_before_anybody_is_asked(aws: AWSFiles, identity: Identity) -> None:
    aws.write(aws.credentials, f'[default]\naws_access_key_id="AKIAONE"\naws_secret_access_key="{SECRET}"\n')
    fault = fails(Signer(identity))
    assert fault.row.key == "odd-credentials"
    assert fault.text.startswith("aws_access_key_id (default credentials) has a quote in it")
    assert "AKIAONE" not in fault.text


def test_service_that_does_not_answer_is_named() -> None:
    url = "https://sts.eu-west-1.amazonaws.com/?secret"
    fault = explain(botocore.exceptions.ConnectTimeoutError(endpoint_url=url), Identity(), environ={})
    assert "does not answer to the request for credentials at sts.eu-west-1.amazonaws.com (" in fault.text


def test_an_unknown_profile_is_named(aws: AWSFiles) -> None:
    fault = fails(Signer(Identity("nope")))
    assert "there is no AWS profile nope" in fault.text
    assert "aws configure list-profiles" in fault.text


def test_an_sso_profile_without_login_says_which_command_to_run(aws: AWSFiles) -> None:
    aws.write(
        aws.config,
        '[profile "my dev"]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n'
        "sso_account_id = 123456789012\nsso_role_name = dev\n",
    )
    assert "run `aws sso login --profile 'my dev'`" in fails(Signer(Identity("my dev"))).text


def test_a_profile_that_wants_an_mfa_code_does_not_wait_on_the_terminal(aws: AWSFiles) -> None:
    aws.keys("AKIAONE", "source")
    aws.write(
        aws.config,
        "[profile r]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = source\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/me\n",
    )
    assert "MFA code" in fails(Signer(Identity("r"))).text


def test_expired_credentials_are_an_error_of_their_own(aws: AWSFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    text = fails(Signer(Identity())).text
    assert "have expired: start the proxy again with new ones, or let it renew them" in text
    text = fails(Signer(Identity(), environ={**os.environ, "AWS_VAULT": "a b"})).text
    assert "new ones (`aws-vault exec 'a b' -- rds-iam-proxy ...`)" in text


def test_expired_keys_of_the_environment_cannot_be_renewed_by_a_command() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "ASIAENV", "AWS_PROFILE": "dev"}
    role = Identity(role_arn="arn:aws:iam::123456789012:role/r")
    assert explain(answer("ExpiredToken"), role, environ=environ).row.key == "expired-environment"
    of_profile = explain(answer("ExpiredToken"), Identity("dev"), environ=environ).text
    assert "renew them: `aws sso login --profile dev`" in of_profile


def test_credentials_that_end_in_the_future_of_botocore_but_not_of_our_clock_are_expired(
    aws: AWSFiles, tmp_path: Path
) -> None:
    process_profile(
        aws,
        tmp_path,
        {
            "Version": 1,
            "AccessKeyId": "ASIAONE",
            "SecretAccessKey": SECRET,
            "SessionToken": SESSION_TOKEN,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200)),
        },
    )
    assert "have expired" in fails(Signer(Identity("p"), wall=lambda: time.time() + 8000)).text


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (f"{sys.executable} -c 'import sys; sys.exit(\"{SECRET}\")'", "credential_process"),
        (f"echo {SECRET}", "did not print the JSON"),
        (f'echo {{"Version": 2, "SecretAccessKey": "{SECRET}"}}', "did not print the JSON"),
        ("/nonexistent/program", "does not exist"),
    ],
)
def test_what_a_credential_process_wrote_reaches_no_error_and_no_log(
    program: str, says: str, aws: AWSFiles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    aws.write(aws.config, f"[profile p]\ncredential_process = {program}\n")
    fault = fails(Signer(Identity("p")))
    assert says in fault.text
    assert "profile p" in fault.text
    assert fault.__cause__ is None
    assert fault.__context__ is None
    assert SECRET not in fault.text + fault.detail + repr(fault) + caplog.text


def test_a_failed_refresh_leaves_no_traceback_with_secrets_in_the_log(
    aws: AWSFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = process_profile(
        aws,
        tmp_path,
        {
            "Version": 1,
            "AccessKeyId": "ASIAONE",
            "SecretAccessKey": SECRET,
            "SessionToken": SESSION_TOKEN,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 700)),
        },
    )
    signer = Signer(Identity("p"))
    assert access_key(signer) == "ASIAONE"
    path.unlink()  # from now on the program fails and writes the path to stderr
    assert access_key(signer) == "ASIAONE"  # botocore's early refresh failed, what it has is still good
    assert str(path) not in caplog.text


def test_at_debug_level_no_log_holds_a_secret_a_session_token_or_a_signature(
    aws: AWSFiles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    aws.keys("AKIAONE")
    signer = Signer(Identity())
    signed = signer.sign(ENDPOINT, REGION, "u", look_again=False)
    signature = signed.value.decode().rpartition("X-Amz-Signature=")[2]
    everything = caplog.text + repr(signed) + str(signed) + repr(vars(signer)) + repr(Identity(external_id=SECRET))
    for secret in (SECRET, quote(SECRET, safe=""), SESSION_TOKEN, quote(SESSION_TOKEN, safe=""), signature):
        assert len(secret) > 30
        assert secret not in everything


def test_quiet_boto_holds_whatever_the_root_level() -> None:
    quiet_boto()
    for name in ("boto3", "botocore.auth", "urllib3.connectionpool"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    for name in ("botocore.credentials", "botocore.tokens"):
        assert not logging.getLogger(name).isEnabledFor(logging.WARNING)


def answer(code: str, message: str = "m") -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "AssumeRole")


@pytest.mark.parametrize(
    ("exc", "row", "says"),
    [
        (botocore.exceptions.NoCredentialsError(), "no-credentials", "no AWS credentials found"),
        (
            botocore.exceptions.PartialCredentialsError(provider="env", cred_var="x"),
            "incomplete-credentials",
            "incomplete",
        ),
        (botocore.exceptions.ProfileNotFound(profile="dev"), "no-profile", "there is no AWS profile dev"),
        (botocore.exceptions.SSOTokenLoadError(error_msg=SECRET), "expired-sso", "`aws sso login --profile dev`"),
        (botocore.exceptions.UnauthorizedSSOTokenError(), "expired-sso", "`aws sso login --profile dev`"),
        (
            botocore.exceptions.TokenRetrievalError(provider="sso", error_msg=SECRET),
            "expired-sso",
            "`aws sso login --profile dev`",
        ),
        (
            botocore.exceptions.CredentialRetrievalError(provider="x", error_msg=SECRET),
            "process-failed",
            "credential_process",
        ),
        (botocore.exceptions.MetadataRetrievalError(error_msg=SECRET), "no-role-attached", "role attached"),
        (botocore.exceptions.InvalidConfigError(error_msg=SECRET), "aws-files", "configuration files"),
        (botocore.exceptions.ConfigParseError(path="/x"), "aws-files", "configuration files"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts"), "aws-silent", "does not answer"),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="https://sts"), "aws-silent", "does not answer"),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="https://sts"), "aws-silent", "does not answer"),
        (PermissionError(13, "denied", "/x"), "program-forbidden", "may not be used"),
        (FileNotFoundError(2, "none", "/x"), "program-missing", "does not exist"),
        (json.JSONDecodeError("x", "y", 0), "process-output", "did not print the JSON"),
        (botocore.exceptions.RefreshWithMFAUnsupportedError(), "mfa-wanted", "MFA code"),
        (
            RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
            "expired-credentials",
            "have expired",
        ),
        (KeyError(SECRET), "credentials-failed", "could not be had (KeyError)"),
        (answer("AccessDenied"), "role-denied", "may not assume arn:aws:iam::123456789012:role/r"),
        (answer("ExpiredToken"), "unknown-credentials", "expired or unknown (ExpiredToken)"),
        (answer("InvalidClientTokenId"), "unknown-credentials", "expired or unknown"),
        (answer("SignatureDoesNotMatch", f"canonical string {SECRET}"), "wrong-secret-key", "clock"),
        (answer("ForbiddenException"), "sso-role", "sso_role_name"),
        (answer("RequestExpired"), "request-expired", "clock"),
        (answer("UnauthorizedException"), "expired-sso", "`aws sso login --profile dev`"),
        (answer("ThrottlingException"), "aws-answer", "AWS answered ThrottlingException to AssumeRole"),
        (answer("bad\x1b[31m code"), "aws-answer", "AWS answered an unknown error"),
    ],
)
def test_exceptions_of_boto3_say_what_to_do_and_repeat_nothing(exc: Exception, row: str, says: str) -> None:
    identity = Identity("dev", role_arn="arn:aws:iam::123456789012:role/r")
    fault = explain(exc, identity, environ={}, machine=Machine.OTHER)
    assert fault.row.key == row
    assert says in fault.text
    assert len(fault.text.encode()) <= 400
    assert fault.text.isprintable()
    assert SECRET not in fault.text + fault.detail


class LoginError(Exception):
    """Named as botocore's of `aws login`, which its older versions do not have."""


def test_a_login_that_has_ended_is_renewed_with_aws_login() -> None:
    fault = explain(LoginError(SECRET), Identity("dev"), environ={})
    assert fault.row.key == "expired-login"
    assert "run `aws login --profile dev`" in fault.text


def test_error_names_the_profile_of_the_environment_and_stays_within_400_bytes() -> None:
    exc = botocore.exceptions.UnauthorizedSSOTokenError()
    assert "`aws sso login --profile dev`" in explain(exc, Identity(), environ={"AWS_PROFILE": "dev"}).text
    assert "`aws sso login`" in explain(exc, Identity(), environ={}).text
    text = explain(exc, Identity("é\n" * 300), environ={}).text
    assert len(text.encode()) <= 400
    assert text.isprintable()


@pytest.mark.parametrize(
    "config",
    [
        "[profile p]\ncredential_process = {program}\n",
        "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = s\n"
        "[profile s]\ncredential_process = {program}\n",
    ],
    ids=["profile", "source profile"],
)
def test_a_credential_process_that_hangs_ends_with_the_signer(aws: AWSFiles, tmp_path: Path, config: str) -> None:
    program = tmp_path / "hangs"
    program.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.new\nmv {tmp_path}/pid.new {tmp_path}/pid\nexec sleep 300\n"
    )
    program.chmod(0o700)
    aws.write(aws.config, config.format(program=program))
    signer = Signer(Identity("p"))
    failures: list[CredentialsError] = []

    def sign_once() -> None:
        try:
            signer.sign(ENDPOINT, REGION, "u", look_again=False)
        except CredentialsError as exc:
            failures.append(exc)

    thread = threading.Thread(target=sign_once, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    signer.close()
    thread.join(20)
    assert not thread.is_alive()
    assert len(failures) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
