"""One thin driver per client: each reads the script as JSON on its input and prints what it saw, a line per check."""
