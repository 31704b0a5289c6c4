"""AWS credentials."""

from mysql_wire.constants import ErrorCode

from .row import Symptom

_DENIED = ErrorCode.ER_ACCESS_DENIED_ERROR

SIGNING = (
    Symptom(
        "no-credentials",
        "There are no AWS credentials",
        _DENIED,
        "no AWS credentials found ({who}); run {advice}",
        "Neither the environment nor the AWS files, nor a role of the machine or container, gave any. A service does"
        " not see the variables and the home folder of your shell.",
        "Run what the text says, or set `profile` for the target. The proxy need not be restarted: the next login looks"
        " again. AWS_ variables are read at the start only.",
    ),
    Symptom(
        "expired-credentials",
        "The AWS credentials have expired",
        _DENIED,
        "the AWS credentials of {who} have expired; renew them: {advice}",
        "They were temporary, and nothing renews them.",
        "Renew them as the text says; the next login takes the new ones. Better: a profile with SSO, a role or a"
        " `credential_process`, which the proxy renews itself.",
    ),
    Symptom(
        "expired-environment",
        "The AWS keys in the environment have expired",
        _DENIED,
        "the AWS keys in the proxy's environment have expired: start the proxy again with new ones{advice}",
        "They were handed over at the start (by `aws-vault exec`, for instance), and a process cannot get new ones.",
        "Start the proxy again. Better: a profile with `credential_process = aws-vault export --format=json PROFILE`.",
    ),
    Symptom(
        "expired-sso",
        "The SSO session has ended",
        _DENIED,
        "the AWS SSO session of {who} is missing or has expired; run {advice}",
        "SSO sessions end after some hours, and only a person with a browser can begin a new one.",
        "Run the command in the text, as the user whom the proxy runs as. The next login works.",
    ),
    Symptom(
        "slow-credentials",
        "The AWS credentials take too long",
        _DENIED,
        "the AWS credentials did not arrive within {seconds} s ({who}); run {advice}",
        "A `credential_process` waits for somebody (an MFA code, a locked keychain), or STS or SSO cannot be reached.",
        "Run the command in the text and see what it waits for. Targets with other profiles are not affected.",
    ),
    Symptom(
        "credentials-too-late",
        "There was no time left for the AWS credentials",
        _DENIED,
        "the AWS credentials did not arrive within the {seconds} s that this login had left; connect again",
        "The login had waited for its permit first, and has 9.5 s altogether.",
        "Connect again: the credentials are fetched on, and kept.",
    ),
    Symptom(
        "role-denied",
        "The role may not be assumed",
        _DENIED,
        "{who} may not assume {role}: allow sts:AssumeRole for it and check the role's trust policy and external_id",
        "STS refused `AssumeRole`: the caller's policy or the role's trust policy does not allow it.",
        "`aws sts get-caller-identity` shows who asks; that ARN must be in the role's trust policy, with the same"
        " `external_id`. The log has STS's own words.",
    ),
)
