"""Big results and big statements: megabytes per second, and what a gigabyte costs the relay."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ..drivers import order
from ..lab import DIRECT, MEGABYTE, PROXY, PROXY_TLS, ROUTER, Lab
from ..samples import Sample
from ..schedule import Scale, interleaved

MEASURE = "bulk"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One statement: `padding` letters between its two parts."""

    case: str
    statement: str
    padding: int = 0
    ending: str = ""


TRANSFERS = (
    Transfer("result, rows of 1 MB", "SELECT content FROM megabytes"),
    Transfer("result, rows of 100 bytes", "SELECT content FROM hundreds"),
    Transfer("inserts of 1 MB", "INSERT INTO sink VALUES ('", MEGABYTE, "')"),
)


def measure(lab: Lab, scale: Scale) -> Iterator[Sample]:
    for transfer in TRANSFERS:
        take = partial(
            order.run,
            "bulk",
            statement=transfer.statement,
            padding=transfer.padding,
            ending=transfer.ending,
            seconds=scale.seconds(4),
        )
        yield from interleaved(MEASURE, transfer.case, lab.some(DIRECT, PROXY, PROXY_TLS, ROUTER), scale, take)
