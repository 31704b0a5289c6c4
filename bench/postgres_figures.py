"""What `make bench-postgres` found, kept in docs/benchmarks/postgres.json, and its part of docs/benchmarks.md."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .targets import Target

FILE = "postgres.json"
PROXY, PGBOUNCER = "rds-iam-proxy", "pgbouncer"
IDLE, COPY_OUT = "kB per idle session", "COPY out, MB per CPU second"
TRANSACTION = "CPU per transaction, µs: "


@dataclass(frozen=True, slots=True)
class PostgresRun:
    """`figures`: by what was measured, by relay: the best of the rounds."""

    began: str
    rounds: int
    seconds: int
    load_before: float
    pgbouncer: str
    """Its version; empty if there was none."""
    figures: Mapping[str, Mapping[str, float]]

    @classmethod
    def load(cls, folder: Path) -> "PostgresRun | None":
        """None: nothing was measured yet."""
        path = folder / FILE
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n")

    def targets(self) -> Iterator[Target]:
        """To pgbouncer's, but for memory."""
        for what, figures in self.figures.items():
            ours, theirs = figures[PROXY], figures.get(PGBOUNCER)
            ratio = ours / theirs if theirs else None
            if what == IDLE:
                yield Target(what, ours, "kB", at_most=36)
            elif what == COPY_OUT:
                yield Target(f"{what}: to pgbouncer's", ratio, "times", at_least=0.8)
            else:
                yield Target(f"{what}: to pgbouncer's", ratio, "times", at_most=1.2)

    def section(self) -> str:
        """Markdown."""
        lines = [
            "## PostgreSQL, beside PgBouncer",
            "",
            f"Written by `make bench-postgres` ({self.began}, {self.rounds} rounds that take turns, {self.seconds} s "
            f"each, load before {self.load_before:.2f}): `pgbench -S` and COPY at PostgreSQL 15, through this proxy "
            f"and through PgBouncer {self.pgbouncer} (`pool_mode = session`, `server_tls_sslmode = verify-ca`); "
            "clients without TLS. The best of the rounds; memory is that of fifty sessions beside fifty others.",
            "",
            "| | this proxy | PgBouncer | wanted | |",
            "| --- | ---: | ---: | --- | --- |",
        ]
        for (what, figures), target in zip(self.figures.items(), self.targets(), strict=True):
            shown = "-" if target.figure is None else f"{target.figure:.2f} {'holds' if target.holds else '**missed**'}"
            theirs = f"{figures[PGBOUNCER]:.1f}" if PGBOUNCER in figures else "-"
            lines.append(f"| {what} | {figures[PROXY]:.1f} | {theirs} | {target.wanted} {target.unit} | {shown} |")
        return "\n".join(lines) + "\n"
