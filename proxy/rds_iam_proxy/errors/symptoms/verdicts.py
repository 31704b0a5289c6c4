"""RDS's verdict on a login."""

from .row import Symptom

_POLICY = """Allow `rds-db:connect` on the ARN in the text, in the policy of the role or user that the proxy signs as:
`arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE/DB_USER`. RESOURCE is the *resource id* (`db-…`, for Aurora `cluster-…`,
for RDS Proxy `prx-…`), not the name: `aws rds describe-db-instances` shows it as `DbiResourceId`. The user's name is
case-sensitive. Conditions on `aws:SourceIp`, `aws:SourceVpc` and the like are not supported there. In another account's
database, set `role_arn` to a role of that account."""

_SIGNED = "RDS said: {answer}; signed for {address} in {region}, {age:.0f} s old; this machine's clock says {clock} UTC"


_THROTTLED = (
    "RDS lets about 200 new IAM logins through a second (all hosts together), and refuses the others like a wrong"
    " password, with 1045; RDS Proxy says 1040 `IAM authentication rate limit exceeded`. Who logged in within the"
    " last 5 minutes is taken to be throttled: the proxy lowers its rate and tries twice more."
)

VERDICTS = (
    Symptom(
        "token-refused",
        "RDS refuses the token",
        "refused",
        "RDS refused the IAM token of DB user {db_user} at {address}; has its identity rds-db:connect on {arn}? is this"
        " clock right ({clock} UTC)? are the AWS credentials valid (`{check}`)?",
        "RDS says only 1045, whatever the reason: the policy lacks `rds-db:connect` (most often); the credentials have"
        " expired, were rotated or revoked; the clock is wrong by minutes; RDS throttles; on MariaDB also a user who"
        " does not exist.",
        f"{_POLICY}\n\n`rds-iam-proxy check` compares the clock with AWS's and shows whose credentials sign. RDS's log"
        " `iam-db-auth-error`, exported to CloudWatch, has the real reason (NotAuthorized, ExpiredToken, InvalidToken,"
        " ThrottlingException).",
        detail=_SIGNED,
    ),
    Symptom(
        "clock-moved",
        "RDS refuses the token after the clock was set",
        "refused",
        "RDS refused the IAM token of DB user {db_user} at {address}; this machine's clock was moved by {moved:+.0f}"
        " s and"
        " says {clock} UTC: check it (`timedatectl`, NTP); a token is valid for 15 minutes from its signing",
        "The wall clock and the clock that counts seconds since boot disagree since the last login that worked:"
        " somebody or something set the time. Tokens that carry a wrong time are refused.",
        "Compare the time in the text with the real one, and let NTP keep it (`timedatectl set-ntp true`). If the clock"
        " is right, see the previous row.",
        detail=_SIGNED,
    ),
    Symptom(
        "wrong-region",
        "RDS refuses the token for a global endpoint",
        "refused",
        "RDS refused the IAM token of DB user {db_user} at {address}, signed for region {region}: is the writer in"
        " another region now? set region to it; else: has the identity rds-db:connect on {arn}?",
        "A global endpoint's name does not tell its region; `region` is the one you set. After a failover the writer is"
        " in another one, and refuses tokens for the old.",
        "Set `region` to that of the cluster that is the writer now (`aws rds describe-global-clusters`). Other"
        " endpoints name their region, and another one in `region` is refused at the start.",
        detail=_SIGNED,
    ),
    Symptom(
        "other-plugin",
        "The user does not log in with IAM",
        "refused",
        "DB user {db_user} at {address} does not log in with IAM ({how}), or does not exist; run there: CREATE USER (or"
        " ALTER USER) {db_user} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
        "The server asked for a password by another plugin, or let the user in without anything. MySQL does the former"
        " for names that it does not know, too. The proxy sent no token.",
        "Run the statement in the text as an administrator. Names are case-sensitive. A user may have other accounts"
        " for other hosts: `SELECT user, host, plugin FROM mysql.user`.",
    ),
    Symptom(
        "no-such-user",
        "RDS refuses the user before it asks for a token",
        "refused",
        "RDS refused DB user {db_user} at {address} without asking for a token: it does not exist there, or not for"
        " this host; run there: CREATE USER {db_user} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
        "No account fits this user and this client's address, or it wants a password.",
        "`SELECT user, host, plugin FROM mysql.user` on the database shows what there is; names are case-sensitive.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "plugin-not-loaded",
        "IAM authentication is turned off",
        "refused",
        "IAM authentication is off at {address} ({answer}); turn it on: aws rds modify-db-instance (Aurora:"
        " modify-db-cluster) --enable-iam-database-authentication --apply-immediately",
        "The user is to log in with AWSAuthenticationPlugin, but the server has not loaded it.",
        "Run the command in the text with `--db-instance-identifier`; it takes some minutes. It needs 300 to 1000 MB of"
        " memory, and RDS on Outposts does not have it.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "host-blocked",
        "RDS has blocked this machine",
        "refused",
        "{address} has blocked this machine after too many broken connections (max_connect_errors); an administrator"
        " unblocks it there: FLUSH HOSTS, or TRUNCATE TABLE performance_schema.host_cache",
        "Connections that end in the middle of a login count, up to `max_connect_errors` (100): port scans, health"
        " checks by bare TCP. The proxy breaks a login off only where TLS fails or the time is up.",
        "Unblock as the text says, then find what opens bare connections: often a load balancer's health check.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "too-many-connections",
        "RDS has no room for more connections",
        "refused",
        "Too many connections at {address}: its max_connections is used up by all its clients together; close some, or"
        " raise it in the parameter group",
        "This is the database's own limit, not the proxy's.",
        "`SHOW PROCESSLIST` shows whose they are. `max_sessions` of the target keeps a part of them free for others.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "throttled",
        "RDS throttles logins",
        "limited",
        "RDS at {address} throttles new logins: DB user {db_user} was refused three times in a row; try again later,"
        " make"
        " fewer new connections on all hosts together, lower logins_per_second",
        _THROTTLED,
        "Reuse connections (a pool, persistent connections), or spread the logins. If it goes on, the next login's text"
        " shows the reason: the permission may have been taken away.",
        detail="{last.detail}",
    ),
    Symptom(
        "throttled-known",
        "RDS throttles logins of a user who could log in just now",
        "limited",
        "RDS at {address} throttles new logins: DB user {db_user} was refused three times in a row; it logged in"
        " {seconds:.0f} s ago; try again later, make fewer new connections on all hosts together, lower"
        " logins_per_second",
        _THROTTLED,
        "As above.",
        detail="{last.detail}",
    ),
    Symptom(
        "rate-limited",
        "RDS Proxy throttles logins",
        "refused",
        "{answer}",
        "RDS Proxy says it openly. No client reads this: the login is tried twice more, and then fails as throttled."
        " The"
        " status page may show it as what the last login met.",
        "As above.",
        detail="RDS said: {answer}",
        verbatim=True,
    ),
    Symptom(
        "passed-on",
        "RDS refuses the login, and says why",
        "refused",
        "{answer}",
        "This is the database's own error, word for word: the database in the login does not exist, for instance, or"
        " the"
        " user may not use it. Its number is in the manual's list of errors.",
        "Do what the text says; the proxy has no part in it.",
        verbatim=True,
    ),
)
