"""Every way that a login or a start can fail: the errors, and the table with the text, cause and remedy of each."""
