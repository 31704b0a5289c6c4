"""Used sessions: what one client leaves behind the next one does not find, and which sessions are never lent."""
