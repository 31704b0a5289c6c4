"""Runs one client against one server, through the proxy and directly, and holds the two against each other."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from conformance.clients import Client
from conformance.ground import Ground
from conformance.limits import difference_of, limit_of
from conformance.masks import masked
from conformance.postgres_ground import PostgresGround
from conformance.script import SIDES, Action, Check, Side
from servers.releases import POSTGRES_RELEASES, RELEASES
from servers.trees import Tree, cache_folder, find_tree

RUN_TIMEOUT = 240.0  # seconds, for all checks of one side
MAX_CANCEL_SECONDS = 1.0
SLOW_CHECKS = frozenset({"20 MB, prepared", "closed by the server", "COPY in, 100 MB", "COPY out, 100 MB"})
TESTS = Path(__file__).resolve().parent.parent

AnyGround = Ground | PostgresGround
Results = list[dict[str, Any]]
Script = Callable[[Any, str], tuple[Check, ...]]
"""What a client, by name, runs on a ground."""


class Verdict(Enum):
    """What a cell of the table shows."""

    SAME = "ok"
    PROXY_ONLY = "proxy only"
    LIMIT = "limit"
    BY_DESIGN = "by design"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Cell:
    """One check of one client on one server; `reason` says why it is not simply the same, `details` are a fault's."""

    check: str
    verdict: Verdict
    reason: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """All of a client's cells on one server."""

    client: Client
    server: str
    cells: tuple[Cell, ...]
    seconds: Mapping[str, float]  # by side
    slowest: Mapping[str, float] = field(default_factory=dict)  # by check, through the proxy


def run_client(client: Client, ground: AnyGround, script: Script, *, quick: bool = False) -> Run:
    """Raises Unavailable where the client is not installed. `quick` leaves out the slowest checks."""
    command = client.command()
    checks = tuple(check for check in script(ground, client.name) if not quick or check.name not in SLOW_CHECKS)
    results: dict[Side, dict[str, Results]] = {}
    seconds: dict[str, float] = {}
    slowest: dict[str, float] = {}
    database = f"conf_{client.name.replace('-', '_').replace('.', '_')}"
    tree = find_tree((RELEASES | POSTGRES_RELEASES)[client.tree]) if client.tree else Tree(Path("/"))
    with tempfile.TemporaryDirectory(prefix="rip-", dir=tree.temporary) as folder:
        for side in SIDES:
            started = time.monotonic()
            ground.prepare(database)
            logins = ground.logins(side, database, native=client.knows_native_only)
            lines = _run_side(command, ground, logins, side, checks, Path(folder), tree)
            results[side] = {line["check"]: line["results"] for line in lines}
            if side == "proxy":
                slowest = {line["check"]: line["seconds"] for line in lines}
            seconds[side] = time.monotonic() - started
    ground.drop(database)
    cells = [_cell(client, ground, check, *(results[side].get(check.name) for side in SIDES)) for check in checks]
    return Run(client, ground.server.name, tuple(cells), seconds, slowest)


def _cell(client: Client, ground: AnyGround, check: Check, proxy: Results | None, direct: Results | None) -> Cell:
    cell = judge(client.name, ground.server.family, check, masked(proxy, ground.ports), masked(direct, ground.ports))
    if slow := _slow_cancel(proxy, direct):
        return Cell(check.name, Verdict.FAULT, details=(*slow, *cell.details))
    return cell


def _run_side(
    command: list[str],
    ground: AnyGround,
    logins: dict[str, Any],
    side: Side,
    checks: tuple[Check, ...],
    folder: Path,
    tree: Tree,
) -> list[dict[str, Any]]:
    """What the driver printed; `folder` is one that the client can see."""
    folder.chmod(0o755)
    infile = folder / "lines.txt"
    ground.write_infile(infile)
    mine = [check for check in checks if side in check.sides]
    given = {
        **logins,
        "checks": [{"name": check.name, "actions": [action.plain() for action in check.actions]} for check in mine],
        "infile": tree.inside(infile),
    }
    environment = {
        **os.environ,
        "PYTHONPATH": str(TESTS),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(cache_folder().parent.parent),
    }
    with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
        try:
            ended = subprocess.run(
                command, input=json.dumps(given).encode(), stdout=out, stderr=err, timeout=RUN_TIMEOUT, env=environment,
                check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            ended = None
    lines = [json.loads(line) for line in (folder / "out").read_bytes().splitlines() if line.startswith(b'{"check"')]
    if len(lines) < len(mine):
        stderr = (folder / "err").read_text(errors="replace")[-2000:]
        fault = f"did not end within {RUN_TIMEOUT:.0f} s" if ended is None else f"ended with status {ended}"
        lines.append({"check": mine[len(lines)].name, "results": [{"driver": fault, "stderr": stderr}], "seconds": 0.0})
    return lines


def judge(client: str, family: str, check: Check, proxy: Results | None, direct: Results | None) -> Cell:
    """The verdict on one check, from the masked results of both sides."""
    if "direct" not in check.sides:
        direct = proxy
    proxy, direct = proxy or [{"missing": True}], direct or [{"missing": True}]
    cannot_log_in = "login" in direct[0]
    unsupported = next((result["unsupported"] for result in proxy if "unsupported" in result), "")
    if unsupported and (proxy == direct or cannot_log_in):
        return Cell(check.name, Verdict.LIMIT, unsupported)
    faults, direct_faults = _faults(check, proxy), _faults(check, direct)
    if proxy == direct and not faults:
        return Cell(check.name, Verdict.SAME)
    limit = limit_of(client, family, check.name)
    if limit is not None and limit.proxy_works and not faults and direct_faults:
        return Cell(check.name, Verdict.PROXY_ONLY, limit.reason)
    if limit is not None and not limit.proxy_works and direct_faults and (proxy == direct or cannot_log_in):
        return Cell(check.name, Verdict.LIMIT, limit.reason)
    differences = differing(proxy, direct)
    known = difference_of(client, family, check.name)
    if known is not None and (known.fails or not faults) and all(text.startswith(known.path) for text in differences):
        return Cell(check.name, Verdict.BY_DESIGN, known.reason)
    return Cell(check.name, Verdict.FAULT, details=(*faults, *differences))


def _slow_cancel(proxy: Results | None, direct: Results | None) -> tuple[str, ...]:
    """A cancelled statement ends at once; on a busy machine as soon as without the proxy."""
    took, directly = (
        max((result.get("cancelled after", 0.0) for result in side or []), default=0.0) for side in (proxy, direct)
    )
    slow = took > max(MAX_CANCEL_SECONDS, 3 * directly)
    return (f"cancelling took {took:.1f} s, directly {directly:.1f} s",) if slow else ()


def _faults(check: Check, results: Results) -> list[str]:
    """Where the results are not what the script says, on whichever side."""
    if len(results) < len(check.actions) or results[0].keys() & {"login", "driver", "missing"}:
        last = json.dumps(results[-1], ensure_ascii=False)[:500]
        return [f"ended with action {len(results)} of {len(check.actions)}: {last}"]
    faults: list[str] = []
    for action, result in zip(check.actions, results, strict=True):
        faults += _action_faults(action, result)
    return faults


def _action_faults(action: Action, result: dict[str, Any]) -> list[str]:
    what = json.dumps(action.plain(), ensure_ascii=False)[:160]
    if result.get("faults"):
        return [f"{what}: {result['faults']}"]
    if "unsupported" in result:
        return [f"{what}: {result['unsupported']}"]
    if wanted := action.options.get("sqlstate"):
        found = result.get("error", {}).get("sqlstate")
        return [] if "error" in result and found in (None, wanted) else [f"{what}: {json.dumps(result)[:400]}"]
    if "error" in result:
        return [] if action.fails != "no" else [f"{what}: {json.dumps(result['error'], ensure_ascii=False)[:400]}"]
    if action.fails == "yes":
        return [f"{what}: no error"]
    if action.rows is not None:
        rows = tuple(tuple(row) for found in result.get("sets", []) for row in found["rows"])
        if rows != action.rows:
            return [f"{what}: gave {str(rows)[:300]} instead of {str(action.rows)[:300]}"]
    return []


def differing(proxy: Any, direct: Any, path: str = "") -> list[str]:
    """Where two results differ, as `path: proxy | direct`; at most a few."""
    if proxy == direct:
        return []
    found: list[str] = []
    if isinstance(proxy, dict) and isinstance(direct, dict):
        for key in sorted(proxy.keys() | direct.keys()):
            found += differing(proxy.get(key), direct.get(key), f"{path}.{key}")
    elif isinstance(proxy, list) and isinstance(direct, list) and len(proxy) == len(direct):
        for index, (left, right) in enumerate(zip(proxy, direct, strict=True)):
            found += differing(left, right, f"{path}[{index}]")
    else:
        found.append(f"{path}: proxy {str(proxy)[:300]!r} | direct {str(direct)[:300]!r}")
    return found[:8]
