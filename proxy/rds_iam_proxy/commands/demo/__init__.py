"""`rds-iam-proxy demo`: an embedded RDS and the proxy in front of it, on a machine with nothing else.

Nothing outside this package imports mysql-mimic: it pulls in sqlglot (0.2 s, 36 MB).
"""

from ...config import Engine
from ...net.address import Address


def run(listen: Address | None, once: bool, engine: Engine = "mysql") -> int:
    """Run the demo until SIGINT or SIGTERM, or with `once` until the login is proven; returns the exit code.

    0: ended as asked; 1: the login through the proxy failed. Raises ConfigError.
    """
    from .program import run as run_program

    return run_program(listen, once=once, engine=engine)
