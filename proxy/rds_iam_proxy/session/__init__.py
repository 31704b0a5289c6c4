"""One client's life."""
