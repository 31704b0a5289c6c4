"""Private MySQL and MariaDB servers that log users in as RDS does: found, installed, started and stopped for tests."""
