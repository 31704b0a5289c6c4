"""`[targets.NAME]`: from the table to the value."""

from collections.abc import Sequence
from pathlib import Path

from ..aws.names import RDSName, parse_rds_name, partition_of
from ..files import read_file
from ..net.address import Address
from .reading import Entry, Reading
from .surroundings import resolved
from .tables import TargetTable
from .values import ENGINE_PORTS, LOGIN_BURST, LOGIN_TIMEOUT, LOGINS_PER_SECOND, Engine, Target

AWS_LOGIN_LIMIT = 200
"""New IAM logins per second and instance that RDS throttles at."""

_MAX_CA_FILE = 16 * 1024 * 1024


def build_target(name: str, entry: Entry[TargetTable], reading: Reading) -> Target | None:
    """The target, or None when it, or one of its keys, has a fault."""
    table, place = entry.table, entry.place
    if "endpoint" not in entry.given:
        other = ", or give --config FILE" if place.is_flags else ""
        reading.fault(place.key("endpoint"), f"required: HOST:PORT of the database, as RDS names it{other}")
    region, partition = _region_and_partition(entry, reading)
    if partition not in (None, "aws") and "ca_file" not in entry.given:
        reading.fault(
            place.key("ca_file"),
            f"required: endpoints of {partition} have certificates of other roots"
            " than the bundled ones; download that partition's bundle from AWS and name its file",
        )
    if "role_arn" not in entry.given:
        orphans = {"external_id", "role_session_name"} & entry.given
        for key in sorted(orphans):
            reading.fault(place.key(key), "means nothing without role_arn")
    login_timeout = table.login_timeout or LOGIN_TIMEOUT
    if table.login_wait is not None and table.login_wait > login_timeout:
        reading.fault(place.key("login_wait"), f"longer than login_timeout, which is {login_timeout:g} s")
    _check_tunnel(entry, reading)
    if table.reuse and engine_of(entry) == "postgres":
        reading.fault(place.key("reuse"), "sessions of PostgreSQL are not lent again; leave the key out")
    ca_file = None if table.ca_file is None else _ca_file(table.ca_file, entry, reading)
    if table.endpoint is None or region is None:
        return None
    given = table.model_dump(exclude={"endpoint", "engine", "dial", "tunnel", "region", "ca_file"}, exclude_none=True)
    return Target(
        name=name,
        address=table.endpoint,
        dial=table.dial or table.endpoint,
        tunnel=table.tunnel,
        region=region,
        engine=engine_of(entry),
        ca_file=ca_file,
        **given,
    )


def engine_of(entry: Entry[TargetTable]) -> Engine:
    """As it is written, or else by the port."""
    if entry.table.engine is not None:
        return entry.table.engine
    endpoint = entry.table.endpoint
    return "postgres" if endpoint is not None and endpoint.port == ENGINE_PORTS["postgres"] else "mysql"


def _check_tunnel(entry: Entry[TargetTable], reading: Reading) -> None:
    place, given = entry.place, entry.given
    if "tunnel" not in given:
        if "tunnel_idle" in given:
            reading.fault(place.key("tunnel_idle"), "means nothing without tunnel")
        return
    if "dial" in given:
        reading.fault(
            place.key("tunnel"),
            f"not together with {place.short('dial')}, which is the near end of a tunnel that somebody else opens",
        )
    if entry.table.follow_cname:
        reading.fault(
            place.key("tunnel"),
            "not together with follow_cname: DNS would choose where the tunnel leads; give the name that RDS shows as"
            " the endpoint",
        )


def _region_and_partition(entry: Entry[TargetTable], reading: Reading) -> tuple[str | None, str | None]:
    """None for what cannot be told, because of a fault."""
    endpoint, place = entry.table.endpoint, entry.place
    if endpoint is None:
        return None, None
    rds_name = parse_rds_name(endpoint.host)
    if rds_name is None and entry.table.follow_cname:
        return _followed(entry, reading)
    if rds_name is None:
        reading.fault(place.key("endpoint"), _not_an_rds_name(endpoint, entry, reading))
        return None, None
    if entry.table.follow_cname:
        reading.fault(place.key("follow_cname"), f"{endpoint.host} is a name of RDS's own already; leave the key out")
    return _region(rds_name, entry, reading), rds_name.partition


def _followed(entry: Entry[TargetTable], reading: Reading) -> tuple[str | None, str | None]:
    """Each login follows the CNAME, within the region that is given here."""
    place, region = entry.place, entry.table.region
    if "dial" in entry.given:
        reading.fault(
            place.key("follow_cname"),
            f"not together with {place.short('dial')}: DNS would choose what is signed,"
            " and nothing would show where it is sent; give the name that RDS shows as the endpoint",
        )
    if "region" not in entry.given:
        reading.fault(place.key("region"), "required with follow_cname: a CNAME must not choose the region")
    return region, None if region is None else partition_of(region)


def _not_an_rds_name(endpoint: Address, entry: Entry[TargetTable], reading: Reading) -> str:
    place, behind = entry.place, reading.around.rds_name_behind(endpoint.host)
    start = (
        f"{endpoint.host} is not a name that RDS gives out. IAM tokens are signed"
        " for the real endpoint, and RDS refuses those for a CNAME or an IP address: "
    )
    if behind is None:
        return (
            f"{start}write the name that `aws rds describe-db-instances` (or -clusters, -proxies) shows, and the"
            f" address of a tunnel as {place.short('dial')}"
        )
    name = Address(behind, endpoint.port)
    if place.is_flags:
        return f"{start}it leads to {name} now, so give that instead"
    return (
        f'{start}it leads to an RDS name now, so write endpoint = "{name}"; or, to have each login follow it, add'
        " follow_cname = true and the region"
    )


def _region(rds_name: RDSName, entry: Entry[TargetTable], reading: Reading) -> str | None:
    place, given = entry.place, entry.table.region
    if rds_name.region is None and "region" not in entry.given:
        reading.fault(
            place.key("region"),
            "required: a global endpoint does not tell its region; give that of the cluster that is the writer now",
        )
    elif rds_name.region and given and given != rds_name.region:
        reading.fault(
            place.key("region"),
            f"{given}, but the endpoint is in {rds_name.region}, and tokens for another region are refused;"
            " leave the key out",
        )
    return rds_name.region or given


def _ca_file(path: Path, entry: Entry[TargetTable], reading: Reading) -> Path | None:
    spot = entry.place.key("ca_file")
    try:
        path = resolved(path, reading.around)
        pem, _ = read_file(path, _MAX_CA_FILE)
    except OSError as exc:
        reading.fault(spot, f"cannot read {path}: {exc.strerror}")
        return None
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        reading.fault(spot, f"{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
        return None
    return path


def check_limits(entries: Sequence[Entry[TargetTable]], reading: Reading) -> None:
    """Targets that name one endpoint, or one budget, share its limiter, so they must agree on it."""
    seen: dict[Address | str, Entry[TargetTable]] = {}
    for entry in entries:
        table, place = entry.table, entry.place
        if (table.logins_per_second or 0) >= AWS_LOGIN_LIMIT:
            reading.warn(
                place.key("logins_per_second"),
                f"{table.logins_per_second:g} per second: RDS throttles IAM logins"
                f" at {AWS_LOGIN_LIMIT} per second and instance, those from other hosts included; stay well below",
            )
        if table.endpoint is None:
            continue
        first = seen.setdefault(table.budget or table.endpoint, entry)
        what = "endpoint" if table.budget is None else "budget"
        for key, default in (("logins_per_second", LOGINS_PER_SECOND), ("login_burst", LOGIN_BURST)):
            mine = getattr(table, key) or default
            theirs = getattr(first.table, key) or default
            if mine != theirs:
                reading.fault(
                    place.key(key),
                    f"{mine:g}, but {first.place.name} has {theirs:g} for the same {what}, and"
                    f" the limit is the {what}'s; give both the same",
                )
