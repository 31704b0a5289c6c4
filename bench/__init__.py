"""Benchmarks: direct TLS, this proxy and MySQL Router in front of one MySQL server. `python -m bench`."""
