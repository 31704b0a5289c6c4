"""What the program of a tunnel says, as it is shown, and what it means."""

import pytest

from rds_iam_proxy.config import SSHTunnel, Target
from rds_iam_proxy.errors.symptoms import SYMPTOMS
from rds_iam_proxy.errors.tree import MAX_TEXT_BYTES
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds.tunnel import faults
from rds_iam_proxy.rds.tunnel.words import HIDDEN, MAX_WORDS, Words

ENDPOINT = Address("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)
TARGET = Target("shop", ENDPOINT, ENDPOINT, "eu-central-1", tunnel=SSHTunnel("bastion", 2222))

SAID = {
    "deploy@bastion: Permission denied (publickey).": "tunnel-key",
    "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures": "tunnel-key",
    "Host key verification failed.": "tunnel-host-key",
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @": "tunnel-host-changed",
    "SessionManagerPlugin is not found. Please refer to SessionManager Documentation": "tunnel-plugin",
    "An error occurred (TargetNotConnected) when calling the StartSession operation: i-0 is not connected.": (
        "tunnel-not-connected"
    ),
    "An error occurred (AccessDeniedException) when calling the StartSession operation: User": "tunnel-denied",
    "Error loading SSO Token: Token for dev does not exist": "tunnel-credentials",
    "The SSO session associated with this profile has expired or is otherwise invalid.": "tunnel-credentials",
    "Unable to locate credentials. You can configure credentials by running": "tunnel-credentials",
    "The config profile (dev) could not be found": "tunnel-credentials",
}

NOT_FORWARDED = {
    "channel 2: open failed: administratively prohibited: open failed": "tunnel-forbidden",
    "channel 2: open failed: connect failed: Connection refused": "tunnel-far-end",
    "channel 3: open failed: connect failed: Name or service not known": "tunnel-far-end",
    "Connection to destination port failed, check SSM Agent logs.": "tunnel-far-end",
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def words(**environ: str) -> Words:
    return Words(environ, Clock())


@pytest.mark.parametrize("line", SAID)
def test_why_it_ended(line: str) -> None:
    heard = words()
    heard.hear(b"Warning: Permanently added 'bastion' to the list of known hosts.\n")
    heard.hear(line.encode() + b"\r\n")
    heard.hear(b"\n")
    failure = faults.ended(TARGET, heard, 255)
    assert (failure.row.key, failure.values["said"]) == (SAID[line], " ".join(line.split()))
    assert failure.row.key in SYMPTOMS.keys() & faults.FINAL
    assert len(failure.shown) <= MAX_TEXT_BYTES


def test_changed_host_key_goes_before_what_ssh_says_last() -> None:
    heard = words()
    heard.hear(b"@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n")
    for _ in range(14):
        heard.hear(b"IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n")
    heard.hear(b"Host key verification failed.\n")
    assert faults.ended(TARGET, heard, 255).row.key == "tunnel-host-changed"


def test_what_is_not_known_has_no_meaning() -> None:
    heard = words()
    heard.hear(b"ssh: connect to host bastion port 22: Connection refused\n")
    failure = faults.ended(TARGET, heard, 255)
    assert failure.row.key == "tunnel-ended"
    assert failure.values["said"] == "ssh: connect to host bastion port 22: Connection refused"


@pytest.mark.parametrize("line", NOT_FORWARDED)
def test_why_a_connection_was_not_forwarded(line: str) -> None:
    clock = Clock()
    heard = Words({}, clock)
    heard.hear(line.encode())
    failure = faults.not_forwarded(TARGET, heard)
    assert failure is not None
    assert failure.row.key == NOT_FORWARDED[line]
    assert line in failure.text
    clock.now += faults.FORWARD_SECONDS + 1
    assert faults.not_forwarded(TARGET, heard) is None, "that was another connection"


def test_line_is_fit_to_be_shown() -> None:
    heard = words()
    assert heard.hear(b"\x1b[2Jhello\x07\xff\n") == "\\x1b[2Jhello\\x07\N{REPLACEMENT CHARACTER}"
    assert len(heard.hear(b"x" * 5000)) == MAX_WORDS
    assert heard.hear(b" \r\n") == ""


def test_secrets_of_its_environment_are_hidden() -> None:
    heard = words(
        AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG",
        AWS_SESSION_TOKEN="FwoGZXIvYXdzEBYaD",
        MYSQL_PWD="long enough",
        DB_PASSWORD="short",
        PWD="/home/deploy",
        SSH_AUTH_SOCK="/run/agent",
    )
    said = heard.hear(b"wJalrXUtnFEMI/K7MDENG FwoGZXIvYXdzEBYaD long enough short /home/deploy /run/agent")
    assert said == f"{HIDDEN} {HIDDEN} {HIDDEN} short /home/deploy /run/agent"


def test_only_the_last_lines_are_kept() -> None:
    heard = words()
    heard.hear(b"Permission denied (publickey).\n")
    for number in range(100):
        heard.hear(b"line %d\n" % number)
    assert faults.ended(TARGET, heard, 1).row.key == "tunnel-ended"
