"""What the operating system says of a process: CPU seconds, memory, open files. Linux only."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CPU:
    """Seconds, of all threads together. Their sum is exact; how it splits is what the kernel's ticks saw."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, earlier: "CPU") -> "CPU":
        return CPU(self.user - earlier.user, self.system - earlier.system)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `own`: anonymous pages, which do not depend on what other processes share of libraries."""

    rss: int
    own: int


def cpu_of(pid: int) -> CPU:
    """CPU that the process has used since its start. Raises OSError when it has ended."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat[stat.rindex(")") + 2 :].split()  # from the third on: a program's name can hold anything
    return CPU(int(fields[11]) / _TICKS, int(fields[12]) / _TICKS)


def exact_cpu_of(pid: int) -> float:
    """Seconds of CPU since the process's start, to the nanosecond. Raises OSError when it has ended."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names


def memory_of(pid: int) -> Memory:
    """Memory that the process has now. Raises OSError when it has ended."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return Memory(found["Rss"], found["Anonymous"])


def descriptors_of(pid: int) -> int:
    """How many files and sockets the process has open. Raises OSError when it has ended."""
    return len(os.listdir(f"/proc/{pid}/fd"))
