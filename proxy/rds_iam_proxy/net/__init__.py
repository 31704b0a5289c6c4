"""Sockets, addresses and certificates. Knows no database and no AWS."""
