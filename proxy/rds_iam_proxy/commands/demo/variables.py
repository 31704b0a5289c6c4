"""System variables and status counters as a fresh RDS instance shows them. Canned; SET changes a session's copy."""

from .tables import SQLError, Value


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split())


_VARIABLES = _pairs("""
auto_increment_increment=1 auto_increment_offset=1 autocommit=ON character_set_client=utf8mb4
character_set_connection=utf8mb4 character_set_database=utf8mb4 character_set_filesystem=binary
character_set_results=utf8mb4 character_set_server=utf8mb4 character_set_system=utf8mb3
collation_connection=utf8mb4_0900_ai_ci collation_database=utf8mb4_0900_ai_ci collation_server=utf8mb4_0900_ai_ci
connect_timeout=10 datadir=/rdsdbdata/db/ default_storage_engine=InnoDB event_scheduler=ON
explicit_defaults_for_timestamp=ON foreign_key_checks=ON gtid_mode=OFF_PERMISSIVE have_ssl=YES hostname=ip-10-0-0-1
init_connect= innodb_buffer_pool_size=134217728 interactive_timeout=28800 lc_time_names=en_US license=GPL
local_infile=ON log_bin=OFF lower_case_file_system=OFF lower_case_table_names=0 max_allowed_packet=131072
max_connections=1000 max_execution_time=0 net_buffer_length=16384 net_read_timeout=30 net_write_timeout=60
performance_schema=OFF port=3306 profiling=OFF protocol_version=10 read_only=OFF require_secure_transport=ON
server_id=1 sql_auto_is_null=OFF sql_mode=NO_ENGINE_SUBSTITUTION sql_notes=ON sql_quote_show_create=ON
sql_safe_updates=OFF sql_select_limit=18446744073709551615 sql_warnings=OFF system_time_zone=UTC time_zone=UTC
transaction_isolation=REPEATABLE-READ transaction_read_only=OFF unique_checks=ON version_compile_machine=x86_64
version_compile_os=Linux wait_timeout=28800
""")
# Gone with MySQL 8; connectors ask older servers for them.
_BEFORE_8 = _pairs("query_cache_size=0 query_cache_type=OFF tx_isolation=REPEATABLE-READ tx_read_only=OFF")
STATUS = _pairs("""
Bytes_received=0 Bytes_sent=0 Com_select=0 Connections=8 Innodb_buffer_pool_pages_data=1024
Innodb_buffer_pool_pages_free=7168 Innodb_buffer_pool_pages_total=8192 Innodb_buffer_pool_read_requests=15000
Innodb_buffer_pool_reads=900 Max_used_connections=1 Open_tables=64 Queries=1 Questions=1 Slow_queries=0
Threads_cached=0 Threads_connected=1 Threads_created=1 Threads_running=1 Uptime=3600
""")


def defaults(version: str) -> dict[str, str]:
    """A new session's variables, by SHOW's rules: ON and OFF."""
    older = {} if version.startswith("8") else _BEFORE_8
    told = {"version": version, "innodb_version": version.partition("-")[0], "version_comment": "Source distribution"}
    return dict(sorted((_VARIABLES | older | told).items()))


def selected(variables: dict[str, str], name: str) -> Value:
    """A variable as SELECT @@name gives it; raises ER_UNKNOWN_SYSTEM_VARIABLE."""
    text = variables.get(name.lower())
    if text is None:
        raise SQLError(1193, "HY000", f"Unknown system variable '{name}'")
    text = {"ON": "1", "OFF": "0"}.get(text, text)
    return int(text) if text.isdecimal() else text


def assign(variables: dict[str, str], name: str, value: str) -> None:
    """SET name = value. What is not known here is as good as set."""
    name = name.lower()
    if value.upper() == "DEFAULT":
        value = defaults(variables["version"]).get(name, "")
    elif variables.get(name) in ("ON", "OFF"):
        value = {"1": "ON", "TRUE": "ON", "0": "OFF", "FALSE": "OFF"}.get(value.upper(), value.upper())
    if name in variables:
        variables[name] = value
