"""A target for the configuration: whatever a file holds, it is a Config or faults that can be read."""

import atexit
import tempfile
from collections.abc import Callable
from pathlib import Path

from rds_iam_proxy.config import Config
from rds_iam_proxy.config.load import from_file
from rds_iam_proxy.errors.tree import ConfigError

MAX_FAULT_CHARACTERS = 10_000
PASSWORD = "correct horse battery staple"

_FOLDER = tempfile.TemporaryDirectory(prefix="rip-fuzz-")
atexit.register(_FOLDER.cleanup)
_FILE = Path(_FOLDER.name) / "proxy.toml"
_FILE.touch(mode=0o600)
_ENVIRONMENT = {"LEGACY_APP_PASSWORD": PASSWORD, "HOME": _FOLDER.name}


def config(data: bytes) -> None:
    """A Config, or a ConfigError with at least one fault; none is long, and none shows a password."""
    _FILE.write_bytes(data)
    outcome = _read()
    if isinstance(outcome, Config):
        assert outcome.targets
        assert outcome.listeners
        assert outcome.accounts
        return
    assert outcome
    assert all(fault.strip() and len(fault) <= MAX_FAULT_CHARACTERS for fault in outcome)
    assert PASSWORD not in " ".join(outcome)


def _read() -> Config | tuple[str, ...]:
    try:
        return from_file(_FILE, _ENVIRONMENT)
    except ConfigError as exc:
        return exc.faults


TARGETS: dict[str, Callable[[bytes], None]] = {config.__name__: config}
