"""One target: permits, tries, verdicts, its greeting."""
