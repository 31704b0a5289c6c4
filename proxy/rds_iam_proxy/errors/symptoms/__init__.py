"""Every way a login can fail: the symptom, what the client reads, why, and what to do. A table, no logic.

Errors name their row, and docs/troubleshooting.md is made from all of them. What is long goes to the log or the
document: a client gets one line of at most 400 bytes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from .here import HERE
from .reaching import REACHING
from .row import Symptom
from .signing import SIGNING
from .verdicts import VERDICTS

__all__ = ["AT_THE_START", "CHAPTERS", "SYMPTOMS", "Symptom"]

CHAPTERS: tuple[tuple[str, tuple[Symptom, ...]], ...] = (
    ("The way to RDS", REACHING),
    ("AWS credentials", SIGNING),
    ("RDS's verdict", VERDICTS),
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
)
"""Faults that `serve` and `check` report before any login: text, cause, remedy."""
