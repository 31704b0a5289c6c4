"""What only a PostgreSQL login meets: RDS's verdicts, and what fails here."""

from .row import Symptom

_LOG_IN_AS = (
    "Log in as `--user` with the password of `--password-env` or `--password-file`, not with an IAM token. The proxy's"
    " log says whether it was the user or the password."
)
_DENIED = 'password authentication failed for user "{user}"'

POSTGRES = (
    Symptom(
        "not-in-rds-iam",
        "The role does not log in with IAM",
        "refused",
        "DB user {db_user} at {address} does not log in with IAM ({how}), or does not exist; run there: CREATE USER"
        ' "{db_user}" WITH LOGIN (if there is none), GRANT rds_iam TO "{db_user}"',
        "The server asked for something else than a token: the role is no member of `rds_iam`, or there is no such"
        " role, for which PostgreSQL asks the same. The proxy sent no token.",
        "Run the statement in the text as an administrator, but see first whose password it may cost: members of"
        " members count, so **a role that was granted to another one takes that one's password login away**, and from"
        " PostgreSQL 16 on whoever creates a role is its member. `rds-iam-proxy grants` prints statements that keep the"
        " master user's. Names are case-sensitive; `\\du` in psql shows the roles and what they are members of.",
    ),
    Symptom(
        "no-hba-line",
        "RDS has no line for this login",
        "refused",
        "{address} lets nobody in as DB user {db_user} from here by an IAM token ({answer}); is IAM authentication on?"
        " aws rds modify-db-instance (Aurora: modify-db-cluster) --enable-iam-database-authentication"
        " --apply-immediately",
        "No line of the server's `pg_hba.conf`, which RDS writes, fits the login.",
        "Turn IAM authentication on, as the text says. For replication set `rds.iam_auth_for_replication = 1` in the"
        " parameter group.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "role-cannot-log-in",
        "The role may not log in",
        "refused",
        'DB user {db_user} at {address} may not log in ({answer}); run there: ALTER ROLE "{db_user}" LOGIN',
        "The token was right, and the role has NOLOGIN.",
        "Run the statement in the text as an administrator.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "too-many-clients",
        "RDS has no room for more connections",
        "refused",
        "{address} has no room for more connections ({answer}): its max_connections is used up by all its clients"
        " together; close some, or raise it in the parameter group",
        "This is the database's own limit, not the proxy's.",
        "`SELECT * FROM pg_stat_activity` shows whose they are. `max_sessions` of the target keeps a part of them free"
        " for others.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "iam-slow",
        "RDS's own check of tokens is slow",
        "refused",
        "{address} did not check the IAM token of DB user {db_user} in time ({answer}); try again: the server is short"
        " of memory, or IAM is slow there",
        "The server asks a service beside it about each token, and that did not answer within its"
        " `authentication_timeout`.",
        "Try again. If it comes often, use a larger instance class: IAM authentication needs 300 to 1000 MB.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "rds-proxy-without-iam",
        "RDS Proxy does not take tokens for this user",
        "refused",
        "the RDS Proxy at {address} takes no IAM token for DB user {db_user} ({answer}); set IAM authentication to"
        " required for it: aws rds modify-db-proxy --auth with IAMAuth=REQUIRED",
        "Its authentication settings do not name IAM for the user.",
        "Change the RDS Proxy's `Auth` as the text says.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "database-of-the-user",
        "The client took the user's name for a database",
        "refused",
        "there is no database {database} at {address}: the client named none, so it asked for the one of its user's"
        " name; name one in the client (psql: -d NAME), or give the account in the proxy a database",
        "`psql -U app` asks for the database `app`, as do most drivers, and here that is the name of the proxy's"
        " account.",
        "Name the database in the client, or set the account's `database`.",
        detail="RDS said: {answer}",
    ),
    Symptom(
        "postgres-wrong-password",
        "The password for the proxy is wrong (PostgreSQL)",
        "wrong password",
        _DENIED,
        "RDS was not asked. The text is a server's, word for word, and does not tell whether the user exists.",
        _LOG_IN_AS,
        verbatim=True,
    ),
    Symptom(
        "postgres-unknown-user",
        "The user is unknown to the proxy (PostgreSQL)",
        "unknown user",
        _DENIED,
        "RDS was not asked: no account of that name may use this target. The text is the same as for a wrong password.",
        _LOG_IN_AS,
        verbatim=True,
    ),
    Symptom(
        "postgres-replication",
        "The account may not replicate",
        "protocol",
        "this account may not open replication connections; set allow_replication = true for it",
        "The client asked for one (`replication` in its startup packet, as pg_basebackup and CDC tools do).",
        "Set `allow_replication` of the account. RDS needs `rds.iam_auth_for_replication = 1` and the role"
        " `rds_replication` besides.",
    ),
    Symptom(
        "postgres-tls-required",
        "The client must use TLS (PostgreSQL)",
        "protocol",
        "this listener requires TLS; set sslmode=require in the client",
        'The listener has `tls = "required"`.',
        "Turn TLS on in the client.",
        detail="{fault}",
    ),
    Symptom(
        "postgres-not-authorized",
        "The client's login is not acceptable",
        "protocol",
        "{fault}",
        "It names no user, or its proof is not for this certificate: somebody may be between the client and the proxy.",
        "Check the client's `user`, and with `channel_binding` what stands between.",
        verbatim=True,
    ),
    Symptom(
        "postgres-unsupported",
        "The client asks for what is not offered",
        "protocol",
        "{fault}",
        "It speaks PostgreSQL's protocol from before 7.4, or an authentication method that the listener did not offer.",
        "Use a client from this century; for one without SCRAM set the listener's `auth` to `password`.",
        verbatim=True,
    ),
    Symptom(
        "postgres-protocol",
        "The client's login is broken (PostgreSQL)",
        "protocol",
        "{fault}",
        "What came is no login of PostgreSQL's: another protocol perhaps, or a faulty client.",
        "Check that the program speaks PostgreSQL's protocol.",
    ),
)
