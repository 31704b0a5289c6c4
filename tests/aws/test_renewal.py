"""Credentials that change, end or are late while the proxy runs: it stays up, and says what to run."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from kit.aws_home import Home
from kit.aws_login import SSO_CONFIG, assert_login, ports_of, proxy_with, refusal, two_targets
from kit.local_aws import LocalAWS
from kit.running_proxy import start_proxy
from rds_iam_proxy.machine import Machine, this_machine
from servers.real_server import RealServer, make_key

HANGS = "#!{python}\nimport os, signal\nopen({seen!r}, 'a').write(str(os.getpid()) + ' ')\nsignal.pause()\n"


def test_two_targets_with_two_identities(rds: RealServer, home: Home) -> None:
    mine, theirs = make_key(), make_key()
    home.credentials(mine=mine, theirs=theirs)
    rds.change(keys=(mine, theirs))
    config = two_targets(rds, 'profile = "mine"', 'profile = "theirs"')
    with start_proxy(config, home=home.folder, dev_mode=False) as proxy:
        ports = ports_of(proxy)
        assert_login(proxy, ports["first"])
        assert_login(proxy, ports["second"])
        rds.change(keys=(theirs,))
        # A user whose token was good just now is taken to be throttled: then it is 1040.
        assert refusal(proxy, ports["first"])[0] in (1040, 1045)
        assert_login(proxy, ports["second"])
        assert proxy.stop() == 0


def test_keys_rotated_on_disk_are_used_by_the_next_login(rds: RealServer, home: Home) -> None:
    home.credentials(batch=rds.rotate_key())
    with proxy_with(rds, home, 'profile = "batch"') as proxy:
        assert_login(proxy)
        before = rds.log.position()
        home.credentials(batch=rds.rotate_key())
        assert_login(proxy)
        assert not rds.log.refusals(before), "no token of the former key was even tried"


def test_expired_sso_login_names_the_command_and_the_next_login_works_after_it(
    rds: RealServer, home: Home, aws: LocalAWS
) -> None:
    home.config(SSO_CONFIG)
    home.sso_login("corp", "old", life=-60)
    with proxy_with(rds, home, 'profile = "dev"', aws.environment()) as proxy:
        code, text = refusal(proxy)
        assert code == 1045
        assert "run `aws sso login --profile dev`" in text
        warning = proxy.wait_for("target down")
        assert "aws sso login --profile dev" in warning["text"], "said in the log before anybody logs in"
        aws.sso_tokens["new"] = rds.rotate_key()
        home.sso_login("corp", "new")
        assert_login(proxy)


def test_sso_login_that_was_revoked_names_the_command_too(rds: RealServer, home: Home, aws: LocalAWS) -> None:
    home.config(SSO_CONFIG)
    home.sso_login("corp", "revoked")
    with proxy_with(rds, home, 'profile = "dev"', aws.environment()) as proxy:
        assert "run `aws sso login --profile dev`" in refusal(proxy)[1]
        assert "revoked" not in proxy.log_text()


def test_missing_credentials_say_so_and_the_next_login_works_when_they_are_there(
    real_server: RealServer, home: Home
) -> None:
    """With each server: its greeting must be known though nobody has logged in yet."""
    rds = real_server
    with proxy_with(rds, home) as proxy:
        code, text = refusal(proxy)
        assert code == 1045
        assert "no AWS credentials found" in text
        advice = {Machine.CONTAINER: "pass AWS_ variables", Machine.INSTANCE: "attach a role"}
        assert advice.get(this_machine(os.environ), "`aws configure`") in text
        home.credentials(default=rds.rotate_key())
        assert_login(proxy)


def test_logins_without_credentials_break_off_no_handshakes_at_rds(rds: RealServer, home: Home) -> None:
    """A hundred of those in a row, and RDS blocks this host (max_connect_errors)."""
    with proxy_with(rds, home) as proxy:
        refusal(proxy)  # the greeting is known by now
        before = _aborted_connects(rds)
        for _ in range(3):
            assert "no AWS credentials found" in refusal(proxy)[1]
        assert _aborted_connects(rds) == before


def _aborted_connects(rds: RealServer) -> int:
    with rds.admin() as admin, admin.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Aborted_connects'")
        return int(cursor.fetchall()[0][1])


def test_missing_profile_is_named_and_may_come_later(rds: RealServer, home: Home) -> None:
    with proxy_with(rds, home, 'profile = "batch"') as proxy:
        assert "there is no AWS profile batch" in refusal(proxy)[1]
        home.credentials(batch=rds.rotate_key())
        assert_login(proxy)


def test_failing_credential_process_says_how_to_see_why_without_its_words(rds: RealServer, home: Home) -> None:
    home.install_vault()
    home.config(f"[profile batch]\ncredential_process = {home.vault} export --format=json vaulted\n")
    with proxy_with(rds, home, 'profile = "batch"') as proxy:
        text = refusal(proxy)[1]
        assert "its credential_process" in text
        assert "`aws sts get-caller-identity --profile batch`" in text
        assert "no such secret" not in proxy.log_text(), "what a program printed may be a secret"
        home.install_vault(vaulted=rds.rotate_key())
        assert_login(proxy)


def test_keys_of_the_environment_that_ended_need_a_new_start(rds: RealServer, home: Home) -> None:
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    environment = rds.key.environment() | {"AWS_CREDENTIAL_EXPIRATION": ended, "AWS_VAULT": "dev"}
    with proxy_with(rds, home, environment=environment) as proxy:
        text = refusal(proxy)[1]
        assert "start the proxy again" in text
        assert "`aws-vault exec dev -- rds-iam-proxy ...`" in text
        assert "credential_process" in text


def test_hung_credential_process_leaves_the_other_target_alone(rds: RealServer, home: Home) -> None:
    started = home.folder / "started"
    hangs = home.program("hangs", HANGS.format(python=sys.executable, seen=str(started)))
    home.config(f"[profile stuck]\ncredential_process = {hangs}\n")
    home.credentials(fine=rds.rotate_key())
    config = two_targets(rds, 'profile = "stuck"', 'profile = "fine"')
    with start_proxy(config, home=home.folder, dev_mode=False) as proxy:
        ports = ports_of(proxy)
        _wait_for(started)
        began = time.monotonic()
        assert_login(proxy, ports["second"])
        assert time.monotonic() - began < 2
        text = refusal(proxy, ports["first"])[1]
        assert "did not arrive within 5 s (profile stuck)" in text
        began = time.monotonic()
        assert_login(proxy, ports["second"])
        assert time.monotonic() - began < 1
        assert proxy.stop() == 0, "nor does it hold up the end"
    _end(started)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def _end(started: Path) -> None:
    """The programs that still wait; the proxy's end has closed nothing that they look at."""
    for number in started.read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(number), signal.SIGKILL)
