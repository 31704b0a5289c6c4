"""A tunnel that the proxy owns: the program that makes it, when it runs, and what it says. Never what goes through."""
