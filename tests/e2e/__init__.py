"""The proxy as a process, between real clients and real servers."""
