"""The demo's embedded RDS for PostgreSQL: logins with tokens only, two sample tables, five kinds of statements."""
