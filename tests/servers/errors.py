"""What can go wrong before a server runs."""


class Unavailable(Exception):
    """A server cannot be had on this machine; the text says why and what would help. Its tests are skipped."""


class Broken(Exception):
    """A server is there but does not work: an error everywhere, never a reason to skip a test."""
