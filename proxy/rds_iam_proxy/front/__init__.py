"""Who may come in: accounts, guessing, certificate, connection ids."""
