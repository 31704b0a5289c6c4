"""System variables and status counters, as a fresh RDS instance shows them. Canned values; SET changes a session's."""

from collections.abc import Iterable

from .data_types import SQLError, Value
from .profile import ServerProfile

# A bool is shown as ON or OFF by SHOW VARIABLES, and as 1 or 0 by SELECT, as MySQL does.
_VARIABLES: dict[str, Value] = {
    "auto_increment_increment": 1,
    "auto_increment_offset": 1,
    "autocommit": True,
    "basedir": "/rdsdbbin/mysql/",
    "big_tables": False,
    "character_set_client": "utf8mb4",
    "character_set_connection": "utf8mb4",
    "character_set_database": "utf8mb4",
    "character_set_filesystem": "binary",
    "character_set_results": "utf8mb4",
    "character_set_server": "utf8mb4",
    "character_set_system": "utf8mb3",
    "collation_connection": "utf8mb4_0900_ai_ci",
    "collation_database": "utf8mb4_0900_ai_ci",
    "collation_server": "utf8mb4_0900_ai_ci",
    "connect_timeout": 10,
    "datadir": "/rdsdbdata/db/",
    "default_storage_engine": "InnoDB",
    "event_scheduler": "ON",
    "explicit_defaults_for_timestamp": True,
    "foreign_key_checks": True,
    "gtid_mode": "OFF_PERMISSIVE",
    "have_ssl": "YES",
    "hostname": "ip-10-0-0-1",
    "init_connect": "",
    "innodb_buffer_pool_size": 134217728,
    "innodb_version": "",
    "interactive_timeout": 28800,
    "language": "/rdsdbbin/mysql/share/english/",
    "lc_time_names": "en_US",
    "license": "GPL",
    "local_infile": True,
    "log_bin": False,
    "lower_case_file_system": False,
    "lower_case_table_names": 0,
    "max_allowed_packet": 67108864,
    "max_connections": 1000,
    "max_execution_time": 0,
    "net_buffer_length": 16384,
    "net_read_timeout": 30,
    "net_write_timeout": 60,
    "offline_mode": False,
    "old_alter_table": False,
    "performance_schema": False,
    "port": 3306,
    "profiling": False,
    "protocol_version": 10,
    "query_cache_size": 0,
    "query_cache_type": "OFF",
    "read_only": False,
    "require_secure_transport": True,
    "secure_file_priv": "/secure_file_priv_dir/",
    "server_id": 1,
    "show_old_temporals": False,
    "socket": "/tmp/mysql.sock",  # noqa: S108 - what RDS shows
    "sql_auto_is_null": False,
    "sql_mode": "NO_ENGINE_SUBSTITUTION",
    "sql_notes": True,
    "sql_quote_show_create": True,
    "sql_safe_updates": False,
    "sql_select_limit": 18446744073709551615,
    "sql_warnings": False,
    "ssl_cipher": "",
    "storage_engine": "InnoDB",
    "system_time_zone": "UTC",
    "time_zone": "UTC",
    "timestamp": 0,
    "transaction_isolation": "REPEATABLE-READ",
    "transaction_read_only": False,
    "tx_isolation": "REPEATABLE-READ",
    "tx_read_only": False,
    "unique_checks": True,
    "version": "",
    "version_comment": "Source distribution",
    "version_compile_machine": "x86_64",
    "version_compile_os": "Linux",
    "wait_timeout": 28800,
    "warning_count": 0,
    "error_count": 0,
}
# SELECT finds these, SHOW VARIABLES does not: gone from MySQL 8 or never listed, but drivers ask all the same.
_HIDDEN = frozenset({"query_cache_size", "query_cache_type", "tx_isolation", "tx_read_only", "storage_engine"})
_READ_ONLY = frozenset(
    {"basedir", "datadir", "hostname", "license", "log_bin", "performance_schema", "port", "protocol_version"}
    | {"socket", "system_time_zone", "version", "version_comment", "version_compile_machine", "innodb_version"}
    | {"version_compile_os", "lower_case_table_names", "have_ssl", "ssl_cipher", "secure_file_priv"}
)
_SYNONYMS = {"tx_isolation": "transaction_isolation", "tx_read_only": "transaction_read_only"}

_STATUS: dict[str, int] = {
    "Aborted_clients": 0,
    "Aborted_connects": 0,
    "Bytes_received": 0,
    "Bytes_sent": 0,
    "Com_select": 0,
    "Created_tmp_disk_tables": 0,
    "Created_tmp_tables": 0,
    "Handler_read_rnd_next": 0,
    "Innodb_buffer_pool_pages_data": 1024,
    "Innodb_buffer_pool_pages_free": 7168,
    "Innodb_buffer_pool_pages_total": 8192,
    "Innodb_buffer_pool_read_requests": 15000,
    "Innodb_buffer_pool_reads": 900,
    "Innodb_data_read": 0,
    "Innodb_data_written": 0,
    "Key_read_requests": 0,
    "Key_reads": 0,
    "Max_used_connections": 1,
    "Open_files": 2,
    "Open_tables": 64,
    "Opened_tables": 100,
    "Queries": 1,
    "Questions": 1,
    "Slow_queries": 0,
    "Table_locks_waited": 0,
    "Threads_cached": 0,
    "Threads_connected": 1,
    "Threads_created": 1,
    "Threads_running": 1,
    "Uptime": 3600,
}


class Variables:
    """One session's system variables."""

    def __init__(self, profile: ServerProfile) -> None:
        version = profile.version.removeprefix("5.5.5-")
        self._global = {**_VARIABLES, "version": version, "innodb_version": version.partition("-")[0]}
        self._session: dict[str, Value] = {}

    def get(self, name: str, scope: str = "") -> Value:
        """The value; raises ER_UNKNOWN_SYSTEM_VARIABLE."""
        name = _SYNONYMS.get(name, name)
        if name not in self._global:
            raise SQLError(1193, "HY000", f"Unknown system variable '{name}'")
        return self._global[name] if scope == "global" else self._session.get(name, self._global[name])

    def set(self, name: str, value: Value) -> None:
        """Change the session's value; strings become what the variable's default is."""
        name = _SYNONYMS.get(name, name)
        default = self.get(name, "global")
        if name in _READ_ONLY:
            raise SQLError(1238, "HY000", f"Variable '{name}' is a read only variable")
        self._session[name] = _converted(name, value, default)

    def set_default(self, name: str) -> None:
        self.set(name, self.get(name, "global"))

    def reset(self) -> None:
        """All back to the defaults, as COM_RESET_CONNECTION does."""
        self._session.clear()

    def shown(self, scope: str) -> Iterable[tuple[str, Value]]:
        """Names and values in SHOW VARIABLES' way."""
        for name in sorted(self._global.keys() - _HIDDEN):
            value = self.get(name, scope)
            yield name, ("ON" if value else "OFF") if isinstance(value, bool) else value


def status(cipher: str, tls_version: str) -> Iterable[tuple[str, Value]]:
    """Names and values in SHOW STATUS' way."""
    counters: dict[str, Value] = {**_STATUS, "Ssl_cipher": cipher, "Ssl_version": tls_version}
    for name in sorted(counters):
        yield name, counters[name]


def _converted(name: str, value: Value, default: Value) -> Value:
    if isinstance(default, bool):
        text = str(value).upper()
        if text in ("ON", "TRUE", "1"):
            return True
        if text in ("OFF", "FALSE", "0"):
            return False
    elif isinstance(default, str) or value is None:
        return "" if value is None else str(value)
    elif isinstance(value, bool) or not isinstance(value, str) or value.isdigit():
        return int(value) if isinstance(value, bool | str) else value
    raise SQLError(1231, "42000", f"Variable '{name}' can't be set to the value of '{value}'")
