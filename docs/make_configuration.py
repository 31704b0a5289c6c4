"""Makes docs/configuration.md from the rows of keys and flags that the proxy itself reads (rds_iam_proxy.config)."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le

from rds_iam_proxy.config.flags import CONFIG_FLAGS
from rds_iam_proxy.config.kinds import Kind
from rds_iam_proxy.config.tables import TABLES, Table, header

PATH = Path(__file__).resolve().parent / "configuration.md"

_HEAD = """<!-- Made by `make docs` from rds_iam_proxy/config/tables.py and flags.py; change it there. -->

# Configuration

`rds-iam-proxy serve --config FILE` reads a TOML file; [operations.md](operations.md#the-configuration-file) has an
example. Relative paths start at the file's
folder, and `~` is the home folder. An unknown key is an error. All faults are reported at once, in the order of the
file and with their lines, with exit code 2. For CI and `ExecStartPre=`

    rds-iam-proxy check --config FILE --config-only

does the same without a start and without network; its exit code is 0 or 1.

Files that hold a secret (passwords, tokens, keys, a configuration with hashes) must not be writable by others, nor
readable but by their owner or by a group that the proxy is in, where root or the proxy's user owns the file.

Where a flag is named, `serve ENDPOINT` and `check ENDPOINT` take it instead of a file. Each flag is also an environment
variable: `--log-level` is `RDS_IAM_PROXY_LOG_LEVEL`. A flag goes before a variable, and an empty variable is not given.
Next to `--config` only the flags of tables that there are once are possible ([admin], [log] and what is outside any
table); they go before the file.
"""


def text() -> str:
    """The whole document."""
    parts = [_HEAD]
    for name, table in TABLES.items():
        title = header(name)
        parts.append(f"## {f'`{title}`' if name else 'Outside any table'}\n")
        parts.append(f"{' '.join((table.__doc__ or '').split())}\n")
        parts.append(_rows(name, table))
    return "\n".join(parts)


def _rows(name: str, table: type[Table]) -> str:
    flags = {row.key: f"`{row.name}`" for row in CONFIG_FLAGS}
    lines = ["| Key | What it is | Default | What it does | Flag |", "| --- | --- | --- | --- | --- |"]
    for key, field in table.model_fields.items():
        row: Mapping[str, Any] = dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}
        kind = kind_of(field.annotation, tuple(field.metadata))
        what = f"{kind}; {row['unit']}" if row["unit"] else kind
        flag = flags.get(f"{name}.{key}" if name else key, "")
        default = f"`{row['default']}`" if row["default"] in table.model_fields else row["default"]
        lines.append(f"| `{key}` | {what} | {default} | {field.description} | {flag} |")
    return "\n".join(lines) + "\n"


def kind_of(annotation: Any, metadata: tuple[object, ...] = ()) -> str:
    """What may be written there. Raises ValueError for what nobody could tell."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (one for one in get_args(annotation) if one is not type(None))
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = (*metadata, *more)
    for one in metadata:
        if isinstance(one, Kind):
            return str(one)
    if get_origin(annotation) is Literal:
        *others, last = (f"`{choice}`" for choice in get_args(annotation))
        return f"{', '.join(others)} or {last}"
    if annotation is bool:
        return "`true` or `false`"
    if annotation in (int, float):
        return " ".join(filter(None, ("whole number" if annotation is int else "number", _bounds(metadata))))
    raise ValueError(f"no name for {annotation}")


def _bounds(metadata: tuple[Any, ...]) -> str:
    limits = [limit for one in metadata for limit in getattr(one, "metadata", [one])]
    least = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    most = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    if least is not None and most is not None:
        return f"from {least:g} to {most:,g}" if most < 1e6 else f"from {least:g} to {most:,.0f}"
    if least is not None:
        return f"from {least:g} on"
    above = next((limit.gt for limit in limits if isinstance(limit, Gt)), None)
    return "" if above is None else f"above {above:g}"


if __name__ == "__main__":
    made = text()
    if "--check" in sys.argv:
        sys.exit(PATH.read_text() != made)
    PATH.write_text(made)
