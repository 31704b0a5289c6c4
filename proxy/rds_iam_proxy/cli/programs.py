"""What the commands of `cli` start, loaded only then; tests put their own in the place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import click

if TYPE_CHECKING:
    from ..commands.run import Job
    from ..config import Config, Engine
    from ..net.address import Address
    from ..service.lifecycle import Lifecycle

OnReady = Callable[[tuple["Address | Path", ...]], None]


class Serve(Protocol):
    """`server.run`"""

    def __call__(self, config: "Config", *, on_ready: OnReady, lifecycle: "Lifecycle") -> int: ...


def _serve(config: "Config", *, on_ready: OnReady, lifecycle: "Lifecycle") -> int:
    from ..commands.serve import run

    return run(config, on_ready=on_ready, lifecycle=lifecycle)


def _demo(listen: "Address | None", once: bool, engine: "Engine") -> int:
    from ..commands.demo import run

    return run(listen, once, engine)


def _run_job(job: "Job", config: "Config", password: str) -> int:
    from ..commands.run import run_job

    return run_job(job, config, password)


@dataclass(frozen=True, slots=True)
class Programs:
    """What the commands start, loaded only then."""

    serve: Serve = _serve
    demo: Callable[["Address | None", bool, "Engine"], int] = _demo
    run_job: Callable[["Job", "Config", str], int] = _run_job


def programs_of(ctx: click.Context) -> Programs:
    return cast(Programs, ctx.obj)
