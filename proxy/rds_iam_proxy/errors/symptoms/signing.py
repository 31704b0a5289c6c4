"""AWS credentials. What botocore or AWS said is never repeated, but for its names and codes: it may hold secrets."""

from .row import Symptom

_RENEWED = (
    "Renew them as the text says; the next login takes the new ones. Better: a profile with SSO, a role or a"
    " `credential_process`, which the proxy renews itself."
)
_FILES = (
    "Run the command in the text as the user whom the proxy runs as, with the same AWS_ variables. A file that was"
    " mended"
    " is read at the next login."
)
_CLOCK = "Compare the clock with the real time and let NTP keep it (`timedatectl`)."

SIGNING = (
    Symptom(
        "no-credentials",
        "There are no AWS credentials",
        "credentials",
        "no AWS credentials found ({who}; looked in {looked}); run `aws configure` or `{sso}`, or set `profile`,"
        " AWS_PROFILE or AWS_ACCESS_KEY_ID for the proxy",
        "Neither the environment nor the AWS files, nor a role of the machine or container, gave any. A service does"
        " not see the variables and the home folder of your shell.",
        "Run what the text says, or set `profile` for the target. The proxy need not be restarted: the next login looks"
        " again. AWS_ variables are read at the start only.",
        detail="{how}",
    ),
    Symptom(
        "no-credentials-in-container",
        "There are no AWS credentials in the container",
        "credentials",
        "no AWS credentials found in this container ({who}; looked in {looked}); give the task or pod a role, pass"
        " AWS_ variables, or mount ~/.aws; on EC2 the metadata service needs a hop limit of 2",
        "Neither the environment nor mounted AWS files, nor a role of the task, pod or instance, gave any. The image"
        " has no `aws` command and no files of yours.",
        "On ECS give the task a role; on EKS the service account (IRSA or Pod Identity). On EC2 a container is one hop"
        " further from the metadata service: `aws ec2 modify-instance-metadata-options --instance-id ID"
        " --http-put-response-hop-limit 2`. Elsewhere pass AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and"
        " AWS_SESSION_TOKEN, or mount ~/.aws where the text says and pass AWS_PROFILE. `rds-iam-proxy check`, run in"
        " the container, says what each place gave.",
        detail="{how}",
    ),
    Symptom(
        "no-credentials-of-instance",
        "The EC2 instance gives no AWS credentials",
        "credentials",
        "no AWS credentials found ({who}; looked in {looked} and at the metadata service of this EC2 instance): attach"
        " a role to the instance, or set `profile` or AWS_PROFILE for the proxy",
        "No role is attached to the instance, or its metadata service is switched off.",
        "Attach an instance profile, and see that the metadata service is enabled (`aws ec2"
        " modify-instance-metadata-options --instance-id ID --http-endpoint enabled`). `rds-iam-proxy check` says what"
        " each place gave.",
        detail="{how}",
    ),
    Symptom(
        "metadata-by-proxy",
        "The metadata service is asked through HTTP_PROXY",
        "credentials",
        "no AWS credentials found ({who}): HTTP_PROXY is set and NO_PROXY does not name the metadata service; set"
        " NO_PROXY=169.254.169.254,169.254.170.2 for rds-iam-proxy",
        "The credentials of an instance or task are at an address of the machine itself, which no proxy reaches.",
        "Add both addresses to NO_PROXY in the environment of rds-iam-proxy, and start it again.",
        detail="{how}",
    ),
    Symptom(
        "odd-credentials",
        "The AWS keys were copied with something around them",
        "credentials",
        "{setting} ({who}) has {character} in it, which no AWS key has; write it without",
        "A line end behind the value (`$(cat FILE)` drops it, a Secret made with `echo` has one), or quotes in"
        " ~/.aws/credentials, which has none.",
        "Write the value anew: no quotes, no spaces, no line end. AWS_ variables are read at the start only.",
    ),
    Symptom(
        "no-profile",
        "The AWS profile does not exist",
        "credentials",
        "there is no AWS {who}; choose one of `aws configure list-profiles`",
        "The target's `profile`, or AWS_PROFILE, names a profile that the AWS files of the proxy's user do not have.",
        "`aws configure list-profiles`, run as the user whom the proxy runs as, shows which there are."
        " AWS_CONFIG_FILE and"
        " AWS_SHARED_CREDENTIALS_FILE name other files than those in ~/.aws.",
        detail="{how}",
    ),
    Symptom(
        "incomplete-credentials",
        "The AWS credentials are incomplete",
        "credentials",
        "the AWS credentials of {who} are incomplete; `{check}` says what is missing",
        "A key without its secret: in the environment, in the AWS files, or from a `credential_process`.",
        _FILES,
        detail="{how}",
    ),
    Symptom(
        "aws-files",
        "The AWS configuration files do not work",
        "credentials",
        "the AWS configuration files do not work for {who}; `{check}` says what is wrong in them",
        "~/.aws/config or ~/.aws/credentials cannot be parsed, or a setting of the profile has no such value.",
        _FILES,
        detail="{how}",
    ),
    Symptom(
        "expired-credentials",
        "The AWS credentials have expired",
        "credentials",
        "the AWS credentials of {who} have expired; renew them: `{sso}` or `{check}`",
        "They were temporary, and nothing renews them.",
        _RENEWED,
        detail="{how}",
    ),
    Symptom(
        "unknown-credentials",
        "AWS takes the credentials for expired or unknown",
        "credentials",
        "AWS takes the credentials of {who} for expired or unknown ({code}); renew them: `{sso}` or `{check}`",
        "They were temporary and have ended, or the key was deleted or turned off.",
        _RENEWED,
        detail="{how}",
    ),
    Symptom(
        "expired-environment",
        "The AWS keys in the environment have expired",
        "credentials",
        "the AWS keys in the proxy's environment have expired: start the proxy again with new ones{again}, or let it"
        " renew them itself: from a profile with SSO or a credential_process",
        "They were handed over at the start (by `aws-vault exec`, for instance), and a process cannot get new ones.",
        "Start the proxy again. Better: a profile with `credential_process = aws-vault export --format=json PROFILE`.",
        detail="{how}",
    ),
    Symptom(
        "expired-sso",
        "The SSO session has ended",
        "credentials",
        "the AWS SSO session of {who} is missing or has expired; run `{sso}`",
        "SSO sessions end after some hours, and only a person with a browser can begin a new one.",
        "Run the command in the text, as the user whom the proxy runs as. The next login works.",
        detail="{how}",
    ),
    Symptom(
        "expired-login",
        "The session of `aws login` has ended",
        "credentials",
        "the AWS login of {who} is missing or has expired; run `{login}`",
        "It ends after some hours, and only a person with a browser can begin a new one.",
        "Run the command in the text, as the user whom the proxy runs as. The next login works.",
        detail="{how}",
    ),
    Symptom(
        "sso-role",
        "SSO has no such account or role",
        "credentials",
        "SSO gives {who} no such account or role; check sso_account_id and sso_role_name",
        "The SSO session is good, but this person may not use that role in that account, or there is none of the name.",
        "Compare the profile's `sso_account_id` and `sso_role_name` with what the AWS access portal shows.",
        detail="{how}",
    ),
    Symptom(
        "mfa-wanted",
        "The profile wants an MFA code",
        "credentials",
        "{who} wants an MFA code, and the proxy has nobody to ask; use SSO, or a credential_process such as"
        " `aws-vault export --format=json`",
        "The profile has `mfa_serial`, so botocore would ask for a code on a terminal.",
        "Use SSO, or `credential_process = aws-vault export --format=json PROFILE`, which asks with a window of its"
        " own.",
        detail="{how}",
    ),
    Symptom(
        "process-failed",
        "The program or service that gives the credentials fails",
        "credentials",
        "the AWS credentials of {who} could not be had, its credential_process or the service that gives them failed;"
        " run"
        " `{check}` to see why",
        "The `credential_process` ended with an error, or a service gave an answer without credentials. What it printed"
        " is not shown: it may hold secrets.",
        "Run the command in the text as the user whom the proxy runs as, with the same environment.",
        detail="{how}",
    ),
    Symptom(
        "process-output",
        "The credential_process prints something else",
        "credentials",
        "the credential_process of {who} did not print the JSON that it should; run `{check}`",
        "Its standard output must be one JSON object with `Version` 1, `AccessKeyId` and `SecretAccessKey`.",
        "Run the profile's `credential_process` in a shell and look at what it prints; messages belong on standard"
        " error.",
        detail="{how}",
    ),
    Symptom(
        "program-missing",
        "A program or file of the AWS configuration does not exist",
        "credentials",
        "a program or file that the AWS configuration names does not exist ({who}); run `{check}`",
        "A `credential_process` or `web_identity_token_file` that the proxy's user does not see: services have another"
        " PATH and home folder than your shell.",
        "Write the whole path of the program, and check that the proxy's user may see it.",
        detail="{how}",
    ),
    Symptom(
        "program-forbidden",
        "A program or file of the AWS configuration may not be used",
        "credentials",
        "a program or file that the AWS configuration names may not be used by the proxy ({who})",
        "The user whom the proxy runs as may not read or run it.",
        "Look at its permissions (`ls -l`), and at those of the folders above it.",
        detail="{how}",
    ),
    Symptom(
        "no-role-attached",
        "The container or instance gives no credentials",
        "credentials",
        "the container's or instance's AWS credentials could not be had; is a role attached to it?",
        "The metadata service answered with an error: there is no role, or it may not be asked from here.",
        "Attach a role to the instance, task or pod. From a container on EC2, IMDSv2's hop limit must be 2.",
        detail="{how}",
    ),
    Symptom(
        "aws-silent",
        "AWS does not answer to the request for credentials",
        "credentials",
        "AWS does not answer to the request for credentials{host} ({who}); check the network and HTTPS_PROXY",
        "STS, SSO or another service that the profile needs cannot be reached from here.",
        "Let this machine reach `sts.REGION.amazonaws.com` and the SSO portal by HTTPS: by a route, a VPC endpoint, or"
        " HTTPS_PROXY in the proxy's environment.",
        detail="{how}",
    ),
    Symptom(
        "slow-credentials",
        "The AWS credentials take too long",
        "credentials",
        "the AWS credentials did not arrive within {seconds:g} s ({who}); run `{check}` to see what they wait for",
        "A `credential_process` waits for somebody (an MFA code, a locked keychain), or STS or SSO cannot be reached.",
        "Run the command in the text and see what it waits for. Targets with other profiles are not affected.",
    ),
    Symptom(
        "credentials-too-late",
        "There was no time left for the AWS credentials",
        "credentials",
        "this login waited {seconds:.1f} s for the AWS credentials and had no more time; connect again",
        "The login had waited for its permit first, and has 9.5 s altogether.",
        "Connect again: the credentials are fetched on, and kept.",
    ),
    Symptom(
        "role-denied",
        "The role may not be assumed",
        "credentials",
        "{who} may not assume {role}: allow sts:AssumeRole for it and check the role's trust policy and external_id",
        "STS refused `AssumeRole`: the caller's policy or the role's trust policy does not allow it.",
        "`aws sts get-caller-identity` shows who asks; that ARN must be in the role's trust policy, with the same"
        " `external_id`. The log has STS's own words.",
        detail="{how}",
    ),
    Symptom(
        "wrong-secret-key",
        "AWS refuses the signature of the credentials",
        "credentials",
        "AWS refuses the signature of {who}: the secret key is wrong, or this machine's clock is (check NTP)",
        "The secret key does not belong to the access key, or was cut or changed in copying; or the clock is wrong.",
        f"Write both keys anew (`aws configure`). {_CLOCK}",
        detail="{how}",
    ),
    Symptom(
        "request-expired",
        "AWS takes the request for too old",
        "credentials",
        "AWS takes the request for too old: check this machine's clock (NTP)",
        "Requests carry their time, and this one is off by more than five minutes.",
        _CLOCK,
        detail="{how}",
    ),
    Symptom(
        "aws-answer",
        "AWS refuses the request for credentials",
        "credentials",
        "AWS answered {code} to {operation} ({who}); `{check}` may say more",
        "STS, SSO or another service that the profile needs answered with an error that has no text of its own here.",
        "The code is AWS's: look it up with the name of the operation. If it is about throttling, the next login may"
        " work.",
        detail="{how}",
    ),
    Symptom(
        "credentials-failed",
        "The AWS credentials could not be had",
        "credentials",
        "the AWS credentials of {who} could not be had ({exception}); `{check}` may say why",
        "botocore failed in a way that has no text of its own here.",
        "Run the command in the text as the user whom the proxy runs as; it uses the same library and says more.",
        detail="{how}",
    ),
    Symptom(
        "signing-failed",
        "A fault of the proxy while it signed",
        "credentials",
        "internal error while signing",
        "This should not happen.",
        "Report it, with the log's `detail`.",
        detail="{exception}",
    ),
)
