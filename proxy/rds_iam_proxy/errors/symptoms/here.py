"""What fails here: the proxy's own limits, and the client's login."""

from .row import Symptom

_MORE = "try again or raise logins_per_second (AWS: under 200/s per instance)"
_LESS = "try again; make fewer connections, or reuse them"
_LOWERED = "RDS throttled logins lately, so the proxy lets fewer begin; the rate comes back by itself."

_DENIED = "Access denied for user '{user}'@'{host}' (using password: {using})"
_LOG_IN_AS = (
    "Log in as `--user` with the password of `--password-env` or `--password-file`, not with an IAM token. The proxy's"
    " log says whether it was the user or the password. After ten wrong answers for a name from one peer the next ones"
    " are answered later, up to 4 s; a right one is let in at once."
)

HERE = (
    Symptom(
        "limiter",
        "Too many logins wait",
        "limited",
        f"no login to {{endpoint}} {{became}} free within {{seconds:.1f}} s (limit {{rate:g}}/s, {{waiting}} waiting);"
        f" {_MORE}",
        "The proxy lets `logins_per_second` logins begin (100, less while RDS throttles), in turns between accounts,"
        " and a login waits `login_wait` (8 s) at most. One that cannot make it is told at once.",
        "Keep connections open for longer. Raise `logins_per_second`, well below AWS's 200, if nobody else uses the"
        " instance's share.",
    ),
    Symptom(
        "limiter-lowered",
        "Too many logins wait while RDS throttles",
        "limited",
        "no login to {endpoint} {became} free within {seconds:.1f} s (limit {rate:.1f}/s since RDS throttled,"
        f" {{waiting}} waiting); {_LESS}",
        _LOWERED,
        "Keep connections open for longer, on all hosts together: RDS counts the logins of all of them.",
    ),
    Symptom(
        "permit-too-late",
        "A login waited too long for its turn",
        "limited",
        "this login waited {waited:.1f} s for its turn, and RDS did not let it in within the {rest:.1f} s that were"
        " left; connect again, keep connections open for longer, or raise login_timeout",
        "A login may take `login_timeout` (9.5 s) with its wait for a permit. Most of it went by before RDS was asked.",
        "As above. Clients that wait longer than 10 s themselves can be given a longer `login_timeout`.",
    ),
    Symptom(
        "greeted-late",
        "No time was left for the login at RDS",
        "limited",
        "login_timeout ({seconds:g} s) was over before this client was let in to log in: too many clients were in the"
        " middle of a login; connect again, look for clients that connect and do not log in, or raise login_timeout",
        "A client's wait for its turn among those that log in counts, and for the target's first greeting.",
        "The log's lines `login refused` with reason `timeout` name the peers that connect and say nothing.",
    ),
    Symptom(
        "queue-full",
        "Too many logins wait already",
        "limited",
        f"{{waiting}} logins to {{endpoint}} wait already (limit {{rate:g}}/s); {_MORE}",
        "At most 1,000 wait. An account with few of them takes a place from the one with most.",
        "As above.",
    ),
    Symptom(
        "queue-full-lowered",
        "Too many logins wait already while RDS throttles",
        "limited",
        f"{{waiting}} logins to {{endpoint}} wait already (limit {{rate:.1f}}/s since RDS throttled); {_LESS}",
        f"At most 1,000 wait. {_LOWERED}",
        "Keep connections open for longer, on all hosts together.",
    ),
    Symptom(
        "sessions",
        "All sessions of the target are in use",
        "limited",
        "all {most} sessions of target {target} are in use; close some or raise max_sessions",
        "`max_sessions` (500) is the number of connections that the proxy may have to this target.",
        "Close idle ones; the log's lines `session ended` show who has many. Raise `max_sessions`, below RDS's own"
        " `max_connections`.",
    ),
    Symptom(
        "account-sessions",
        "All sessions of the account are in use",
        "limited",
        "account {account} uses all {most} sessions that it may have of target {target}; close some or raise"
        " max_sessions_per_account",
        "`max_sessions_per_account` keeps one account from using up the target.",
        "Close some of this account's connections, or raise the limit.",
    ),
    Symptom(
        "greeting-changed",
        "The database was upgraded a moment ago",
        "greeting-changed",
        "{address} now answers as version {version}, which this connection was not greeted as; connect again",
        "The client was greeted as by the server of before, and some formats differ.",
        "Connect again.",
    ),
    Symptom(
        "stopping",
        "The proxy stops",
        "draining",
        "the proxy is being stopped; connect again when it is back",
        "It was told to end.",
        "Connect again when it is back.",
    ),
    Symptom(
        "listener-closed",
        "The listener is closed",
        "draining",
        "this listener is being closed; connect again when it is back",
        "The proxy stops, or the configuration no longer names the listener; this client had connected, and nobody had"
        " greeted it yet.",
        "Connect again when it is back, or where the configuration listens now.",
    ),
    Symptom(
        "no-room",
        "The proxy has no file descriptors for more clients",
        "limited",
        "too many connections for its file descriptors; raise the limit (ulimit -n)",
        "Each session needs two file descriptors, and the process is near its limit.",
        "Raise the hard limit (`ulimit -Hn`, `LimitNOFILE=` of the systemd unit), or lower `max_sessions`.",
    ),
    Symptom(
        "wrong-password",
        "The password for the proxy is wrong",
        "wrong password",
        _DENIED,
        "RDS was not asked. The text is a server's, word for word, and does not tell whether the user exists.",
        _LOG_IN_AS,
        verbatim=True,
    ),
    Symptom(
        "unknown-user",
        "The user is unknown to the proxy",
        "unknown user",
        _DENIED,
        "RDS was not asked: no account of that name may use this target. The text is the same as for a wrong password.",
        _LOG_IN_AS,
        verbatim=True,
    ),
    Symptom(
        "crowded",
        "Too many clients are in the middle of a login",
        "limited",
        "too many clients are in the middle of a login, and this one's turn did not come within 9 s; look for clients"
        " that connect and do not log in",
        "256 clients may log in at once, a peer has half of them at most, and up to 1,024 more wait for their turn.",
        "The log's lines `login refused` with reason `timeout` name the peers that connect and say nothing.",
    ),
    Symptom(
        "tls-required",
        "The client must use TLS",
        "protocol",
        "Connections using insecure transport are prohibited by rds-iam-proxy: this listener requires TLS",
        'The listener has `tls = "required"`.',
        "Turn TLS on in the client (`--ssl-mode=REQUIRED`).",
        detail="{fault}",
        verbatim=True,
    ),
    Symptom(
        "old-client",
        "The client is too old",
        "protocol",
        "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
        "It speaks the login protocol from before MySQL 4.1.",
        "Use a client from this century.",
        detail="{fault}",
        verbatim=True,
    ),
    Symptom(
        "out-of-order",
        "The client sends what has no place in a login",
        "protocol",
        "Got packets out of order",
        "What came is no answer to what the proxy sent: another protocol perhaps, or a faulty client.",
        "Check that the program speaks MySQL's protocol. The log's `detail` says what came.",
        detail="{fault}",
        verbatim=True,
    ),
    Symptom(
        "bad-handshake",
        "The client's login packet is broken",
        "protocol",
        "Bad handshake",
        "Its fields do not fit together: another protocol perhaps, or a faulty client.",
        "Check that the program speaks MySQL's protocol. The log's `detail` names the field.",
        detail="{fault}",
        verbatim=True,
    ),
    Symptom(
        "login-too-large",
        "The client's login packet is too large",
        "protocol",
        "Bad handshake: login packet too large",
        "A login may have 128 KiB; the connection attributes are the only part of it that can be so long.",
        "Have the client send fewer connection attributes. What speaks another protocol may look so, too.",
        detail="{fault}",
        verbatim=True,
    ),
    Symptom(
        "compression",
        "The client compresses without being offered to",
        "protocol",
        "this proxy does not compress, and the client does although that was not offered; connect without compression",
        "Some drivers set the flag whatever the server offers, and speak another framing from then on.",
        "Remove `--compress`, `compress=True`, `MYSQLI_CLIENT_COMPRESS` or `useCompression`. On one machine it gains"
        " nothing.",
        detail="{fault}",
    ),
    Symptom(
        "unknown-command",
        "The client's COM_CHANGE_USER cannot be read",
        "protocol",
        "Unknown command",
        "Its bytes do not make such a command. The servers say the same.",
        "Report it to the client's makers; a new connection does what COM_CHANGE_USER would.",
        detail="{fault}",
        verbatim=True,
    ),
    Symptom(
        "replication-refused",
        "A replication command is refused",
        "protocol",
        "{command} of account {account} for target {target} was refused with error 1047: only an account with"
        " allow_replication = true may replicate",
        "A client asked for the binary log (a replica, a CDC tool, `mysqlbinlog --read-from-remote-server`), or wanted"
        " to register as a replica. RDS reads `Unknown command` and the client gets its error 1047.",
        "Set `allow_replication = true` for the account if it is meant to read every change of the database.",
    ),
    Symptom(
        "certificate-refused",
        "The client does not trust the listener's certificate",
        "client-tls",
        "the client refused this listener's certificate ({why})",
        "It verifies the server and knows no CA of ours: often the RDS bundle is still in its settings (`ssl_ca`,"
        " `--ssl-ca`, `sslrootcert`), which is good for RDS and not for the proxy.",
        "Take the RDS bundle out of the client's settings: it connects to this machine, and the proxy verifies RDS. Or"
        " let it trust the listener's certificate: `local-tls.pem` in the state folder, or `tls_cert` of your own. Or"
        " turn TLS off in the client, on a loopback listener.",
    ),
    Symptom(
        "client-tls-too-old",
        "The client knows no TLS that is safe",
        "client-tls",
        "the client's TLS is too old for this listener, which takes TLS 1.2 and later ({why})",
        "It offers TLS 1.0 or 1.1 only, or ciphers of their time.",
        "Update the client or its TLS library, or turn TLS off in it, on a loopback listener.",
    ),
    Symptom(
        "client-tls-failed",
        "The TLS handshake with the client fails",
        "client-tls",
        "the TLS handshake with the client failed ({why})",
        "The client broke it off, or sent something else.",
        "Look at the client's own message; try it with TLS off, on a loopback listener.",
    ),
    Symptom(
        "login-timeout",
        "The client is silent",
        "timeout",
        "Got timeout reading communication packets",
        "It connected and did not log in within 10 s: a port scan, a health check by bare TCP.",
        "Nothing, unless it was meant to log in.",
        verbatim=True,
    ),
    Symptom(
        "internal",
        "A fault of the proxy",
        "internal",
        "internal error; its log has the details",
        "This should not happen.",
        "Report it, with the log's line `internal error` (run with `--log-level debug` for the traceback).",
    ),
    Symptom(
        "session-stopped",
        "The session ends because the proxy stops",
        "ended",
        "Server shutdown in progress; connect again when it is back",
        "It was told to end, and the session was between two commands.",
        "Connect again when it is back; a pool does that by itself.",
    ),
    Symptom(
        "session-idle",
        "The session was idle for too long",
        "ended",
        "The client was disconnected by the server because of inactivity. See idle_timeout ({seconds:g} s) of target"
        " {target} of rds-iam-proxy for configuring this behavior.",
        "Nothing was sent either way for the target's `idle_timeout`. MySQL's own text, but for the setting's name.",
        "Connect again, or raise `idle_timeout`.",
        verbatim=True,
    ),
    Symptom(
        "session-ended",
        "An operator ended the session",
        "ended",
        "an operator of the proxy ended this session; connect again",
        "Somebody pressed the button on the status page.",
        "Connect again; ask whoever runs the proxy why.",
    ),
)
