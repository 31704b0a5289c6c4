"""What the figures mean for whoever thinks of using the proxy: in words, before all tables."""

from .figures import Figures, named
from .lab import DIRECT, PROXY, TOKEN, TOKEN_BUNDLE
from .measures import logins, memory, queries, startup
from .targets import QPS


def text(figures: Figures) -> str:
    """A chapter, with the figures of this run; what it did not measure is a dash."""
    alone, busy = (queries.POINT_SELECTS.case(connections) for connections in (1, 32))
    one_by_one = logins.case(1)

    def query(subject: str) -> str:
        return _shown(figures.median(queries.MEASURE, alone, subject, named("p50_ms")), ".2f")

    def login(subject: str) -> str:
        return _shown(figures.median(logins.MEASURE, one_by_one, subject, named("median_ms")), ".1f")

    rate = figures.median(queries.MEASURE, busy, PROXY, QPS)
    session = figures.median(memory.MEASURE, memory.CASE, PROXY, named("per_session"))
    start = figures.median(startup.MEASURE, startup.LISTENING, PROXY, named("seconds"))
    return f"""\
## What you gain and what you pay

You gain logins that clients could not make, a limit that RDS does not have to enforce, and errors that say what to do.
You pay, on this machine, beside a direct connection over TLS:

| | direct | through the proxy |
| --- | ---: | ---: |
| a short query, one client at a time: median | {query(DIRECT)} ms | {query(PROXY)} ms |
| a whole login with a token: median | {login(TOKEN)} ms | {login(PROXY)} ms |
| the same where the client reads RDS's CA bundle at each login | {login(TOKEN_BUNDLE)} ms | {login(PROXY)} ms |

One proxy uses one core and serves about {_shown(rate, ",.0f")} short queries a second from 32 clients; results of any
size pass without being kept. A session takes {_shown(session and session / 1e3, ".0f")} kB of memory, and a start
{_shown(start, ".1f")} s. Over a network the time of the way there is added to both columns, and the difference stays.
"""


def _shown(figure: float | None, form: str) -> str:
    return "-" if figure is None else format(figure, form)
