"""What AWS names, signs and vouches for: RDS host names, credentials, tokens, roots."""
