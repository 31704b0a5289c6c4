"""The MySQL connection phase and command framing, sans-IO: bytes in, values out."""
