"""The way to RDS: network and TLS."""

from .row import Symptom

REACHING = (
    Symptom(
        "unreachable",
        "RDS cannot be connected to",
        "unreachable",
        "cannot connect to {where} ({why}); check security group, VPN, route and port",
        "There is no TCP connection: nobody listens there, or a security group, a route or a VPN is in the way.",
        "`Connection refused`: check host and port, and that the instance is available. A timeout: the security group"
        " must"
        " let this machine in to the port.",
    ),
    Symptom(
        "tunnel-down",
        "The tunnel cannot be connected to",
        "unreachable",
        "cannot connect to {where} ({why}); check that the tunnel runs",
        "There is no TCP connection to the address in `dial`: the near end of the tunnel is not there.",
        "`Connection refused`: start the tunnel (`ssh -L`, `aws ssm start-session`), or correct `dial`.",
    ),
    Symptom(
        "no-address",
        "The host name has no address",
        "unreachable",
        "the host name of {where} has no address ({why}); check the name and the DNS",
        "The DNS does not know the endpoint: a typing error, a database that was deleted, or a resolver that does not"
        " see the VPC's private zone.",
        "Compare with `aws rds describe-db-instances --query 'DBInstances[].Endpoint'`. Through a tunnel, set `dial`:"
        " then the endpoint's name is never looked up.",
    ),
    Symptom(
        "cname-lost",
        "The CNAME leads to no RDS name",
        "unreachable",
        "{host} leads to no name that RDS gives out (a DNS ALIAS or flattened CNAME hides it); set endpoint to the name"
        " that RDS shows, and leave out follow_cname",
        "A token is signed for the name that RDS gave the database; with `follow_cname` that name is found in the DNS."
        " An ALIAS record gives addresses only.",
        "Use a CNAME record, or write RDS's name as `endpoint`.",
    ),
    Symptom(
        "cname-region",
        "The CNAME leads to another region",
        "unreachable",
        "{host} now leads to {found}, which is not in {region}, and a CNAME may not choose another region; change"
        " region, or the CNAME",
        "DNS chooses what is signed, so it is held to the region that was configured.",
        "If that is where the database is now, change `region`.",
    ),
    Symptom(
        "cname-unknown",
        "The DNS does not know the CNAME",
        "unreachable",
        "the DNS knows no {host}; check endpoint, and the VPN whose DNS may know it",
        "With `follow_cname`, each login asks the DNS where the name leads, and it has no such name.",
        "Check the spelling, and from where the name can be seen: private zones need the VPC's or the VPN's DNS.",
    ),
    Symptom(
        "cname-silent",
        "The DNS does not say where the CNAME leads",
        "unreachable",
        "the DNS did not say where {host} leads ({why}); check the network and the VPN",
        "No name server answered within 3 s, or what it answered cannot be used.",
        "Try `dig CNAME` with the name. `follow_cname` asks the name servers of /etc/resolv.conf.",
    ),
    Symptom(
        "no-answer",
        "RDS does not answer in time",
        "unreachable",
        "{where} did not answer within {seconds:.1f} s while {step}; check security group, VPN, tunnel and the"
        " instance's state (a paused Aurora Serverless needs 15 s and more: raise login_timeout)",
        "Packets are dropped on the way, or the server is too busy to log anybody in. The text says what was waited"
        " for: *connecting* points to the network, *checking the token* to RDS itself. A login may take"
        " `login_timeout` (9.5 s) from the client's login packet on; an Aurora Serverless that paused takes 15 s and"
        " more to wake.",
        "As above; look at the instance's CPU and memory in CloudWatch. A database that was stopped or is being changed"
        " does not answer either.",
    ),
    Symptom(
        "other-protocol",
        "What answers is another kind of server",
        "unreachable",
        "what answers at {where} does not speak {protocol} ({why}); check host, port and engine",
        "The port is that of another database or service, or `engine` is not what the database speaks.",
        'Compare with `aws rds describe-db-instances --query "DBInstances[].[Engine,Endpoint]"`; set `engine`.',
    ),
    Symptom(
        "hung-up",
        "Something else than MySQL answers, or it hangs up",
        "unreachable",
        "{where} ended the login while {step} ({why}); check that the address is a MySQL or MariaDB endpoint of RDS",
        "The connection was closed, or what came was not MySQL's protocol: the port of another service, a tunnel whose"
        " far end cannot connect, a PostgreSQL endpoint.",
        "Check the port and what the tunnel leads to. A tunnel that accepts connections and closes them at once has no"
        " way to RDS.",
    ),
    Symptom(
        "not-tried",
        "RDS could not be reached lately, so it is not tried",
        "",
        "not tried, because the last {count} attempts failed (next try in {seconds:.1f} s): {last}",
        "After five failures in a row, logins fail at once for 3 s, and then one at a time tries. The reason of the"
        " last attempt follows (its code is 2003 or 2026).",
        "See the reason in the text. Nothing needs to be restarted: the first login that gets through ends this.",
        detail="{last.detail}",
    ),
    Symptom(
        "being-tried",
        "RDS could not be reached lately, and one login tries it now",
        "",
        "not tried, because the last {count} attempts failed (one login is trying now): {last}",
        "As above.",
        "As above. If the login that tries gets through, the next ones do, too.",
        detail="{last.detail}",
    ),
    Symptom(
        "no-descriptors",
        "The proxy may not open more connections",
        "limited",
        "no file descriptor is left; raise the limit (ulimit -n) or lower max_sessions",
        "Each session needs two file descriptors, and the process has used up its limit.",
        "Raise the hard limit (`ulimit -Hn`, `LimitNOFILE=` of the systemd unit), or lower `max_sessions`.",
    ),
    Symptom(
        "no-tls",
        "The server offers no TLS",
        "tls",
        "{where} offers no TLS, and a token is sent over verified TLS only; check the address",
        "Every RDS endpoint offers TLS. This is some other server, or a program between that takes TLS away.",
        "Check `endpoint` and `dial`. There is no way to send tokens without TLS.",
    ),
    Symptom(
        "tls-name",
        "The certificate is for another name",
        "tls",
        "the TLS certificate of {where} is for {names}, not valid for {host}; check endpoint, and what dial leads to",
        "The server is a real one, perhaps, but not the one that was asked for: the tunnel leads to another database,"
        " or the endpoint is an alias.",
        "Compare the names in the text with `endpoint`. Set `endpoint` to the name that RDS gives the database, and let"
        " `dial` lead to that same database.",
        detail="{certificate}; {verdict}",
    ),
    Symptom(
        "tls-untrusted",
        "The certificate is from an unknown authority",
        "tls",
        "the TLS certificate of {where}, for {names} from {issuer}, is not valid for {host}: {verdict}; check what dial"
        " leads to, {roots}",
        "The certificate was not signed by the CA certificates that are trusted: those of RDS and Amazon, or those in"
        " `ca_file` alone. A firewall that inspects TLS shows its own certificate.",
        "With `ca_file`: download AWS's current bundle (`global-bundle.pem`, of your partition). Without: check what"
        " answers there; a test server of your own needs `ca_file`. Verification cannot be turned off.",
        detail="{certificate}; {verdict}",
    ),
    Symptom(
        "tls-dates",
        "The certificate has expired or is not valid yet",
        "tls",
        "the TLS certificate of {where} is not valid for {host} now: {verdict} (it is valid {dates}; this machine's"
        " clock says {clock} UTC); check the clock (NTP) and ca_file",
        "Either this machine's clock is wrong, which also spoils tokens, or a certificate was not renewed in time.",
        "Compare the clock in the text with the real time; `timedatectl` says whether NTP works. If the clock is right,"
        " renew the instance's certificate: `aws rds modify-db-instance --ca-certificate-identifier …`.",
        detail="{certificate}; {verdict}",
    ),
    Symptom(
        "tls-failed",
        "TLS fails",
        "tls",
        "TLS with {where} failed ({why}); check endpoint and dial",
        "What answers does not speak TLS 1.2 or later, or something between breaks it.",
        "Check what the address leads to. The proxy takes TLS 1.2 and 1.3.",
    ),
)
