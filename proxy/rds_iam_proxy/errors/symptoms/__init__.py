"""Every way a login can fail: the symptom, what the client reads, why, and what to do. A table, no logic.

Errors name their row, and docs/troubleshooting.md is made from all of them. What is long goes to the log or the
document: a client gets one line of at most 400 bytes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from .here import HERE
from .postgres import POSTGRES
from .reaching import REACHING
from .row import Symptom
from .signing import SIGNING
from .tunnel import TUNNEL
from .verdicts import VERDICTS

__all__ = ["AT_THE_START", "CHAPTERS", "SYMPTOMS", "WHILE_IT_RUNS", "Symptom"]

CHAPTERS: tuple[tuple[str, tuple[Symptom, ...]], ...] = (
    ("The way to RDS", REACHING),
    ("The proxy's own tunnel", TUNNEL),
    ("AWS credentials", SIGNING),
    ("RDS's verdict", VERDICTS),
    ("PostgreSQL", POSTGRES),
    ("The proxy itself", HERE),
)
"""In the order of a login; what happens here comes last."""

SYMPTOMS: Mapping[str, Symptom] = MappingProxyType({row.key: row for _, rows in CHAPTERS for row in rows})

AT_THE_START = (
    (
        "`… is not a name that RDS gives out`",
        "The endpoint is an alias (CNAME, Route 53) or an IP address. A token is signed for a host name, and RDS"
        " accepts only the name that it gave the database.",
        "Write the name that `aws rds describe-db-instances` (or `-clusters`, `-proxies`) shows as `endpoint`; the"
        " alias or the tunnel's end may be `dial`. Or set `follow_cname`, with the region.",
    ),
    (
        "`region: …, but the endpoint is in …`",
        "The name of the endpoint tells its region, and RDS refuses tokens for another one.",
        "Leave `region` out. Only global endpoints need it.",
    ),
    (
        "`ca_file: required`",
        "China and GovCloud have CA certificates of their own, which are not bundled.",
        "Download the partition's bundle as the text says, and name the file.",
    ),
    (
        "`… is a port`",
        "A number alone was written where a host belongs; resolvers take it for an IPv4 address (13306 for"
        " 0.0.51.250).",
        "Write host and port, as the text says.",
    ),
    (
        "`… is not a loopback address`",
        "Other machines could connect, and a login must not cross a network in plain.",
        'Listen on 127.0.0.1; or allow it with `allow_remote` (`--allow-remote`) and `tls = "required"` (`--tls'
        " required`). The status page has ways of its own: `public_host`, `health_bind`, `metrics_bind`.",
    ),
    (
        "`the file cannot be read`",
        "The proxy's user may not read it. A Secret of Kubernetes is root's; the text says whose the file is, and who"
        " the proxy is.",
        "`chown` it, or in Kubernetes set `securityContext.fsGroup` of the pod to the proxy's group: mode 0440 is fine"
        " then.",
    ),
    (
        "`group or others may read or write the file`",
        "Passwords, tokens, keys and hashes are for the proxy alone. The group may read them only if the proxy is in"
        " it, and if root or the proxy's user owns the file.",
        "`chmod 600` it, or give it to the right owner and group.",
    ),
)
"""Faults that `serve` and `check` report before any login: text, cause, remedy."""

WHILE_IT_RUNS = (
    (
        "`log lines dropped`",
        "Whoever reads the log had stopped: a terminal after Ctrl-S, a pager, a collector that hangs or is too slow."
        " The proxy goes on without it; of what did not fit into 1 MiB only the number is known.",
        "Look after the reader. If it is only too slow, log less: `--log-level warning`. The metric"
        " `rds_iam_proxy_log_lines_dropped_total` counts all of them.",
    ),
    (
        "`not reloaded, all stays as it was`",
        "The new configuration has faults, one such line each, or its files could not be read in time.",
        "Mend what the line says and reload again. Until then `status`, the status page and the metric"
        " `rds_iam_proxy_last_reload_successful` say so too.",
    ),
    (
        "`cannot accept`",
        "There are no file descriptors left for another connection, or no memory. Who is connected goes on.",
        "Raise the limit (`ulimit -n`, `LimitNOFILE=`), or lower `max_sessions`. `times` says how often it came.",
    ),
)
"""Lines of the log that are about the proxy, not about one login: text, cause, remedy."""
