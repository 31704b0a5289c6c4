"""How many logins may begin, and when."""
