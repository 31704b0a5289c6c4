"""Fixtures of all tests."""

from servers.fixtures import *  # noqa: F403 - pytest finds fixtures by their names here
