"""Running proxies whose configuration file and flags a test chooses."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kit.running_proxy import RunningProxy, start_serve
from servers.settings import AccessKey


@contextlib.contextmanager
def serving(
    folder: Path, config: str, *flags: str, key: AccessKey, on_asyncio: bool = False, environment: Sequence[str] = ()
) -> Iterator[RunningProxy]:
    """`serve --config` with a file that stays where the test can change it: `folder`/proxy.toml."""
    path = folder / "proxy.toml"
    path.touch(mode=0o600)
    path.write_text(config)
    variables = dict(pair.split("=", 1) for pair in environment)
    with start_serve(
        ["--config", str(path), *flags], key=key, on_asyncio=on_asyncio, environment=variables, home=folder
    ) as proxy:
        yield proxy
