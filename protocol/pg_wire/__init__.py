"""PostgreSQL's start of a session and its message framing, sans-IO: bytes in, values out. It never sees a statement."""
