"""Private MySQL, MariaDB and PostgreSQL servers that log users in as RDS does: found, installed, started, stopped."""
