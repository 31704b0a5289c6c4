"""Everything in one process: listeners, parts, reload."""
