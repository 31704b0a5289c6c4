"""The conformance matrix: clients run one script, through the proxy and without it, and must see the same."""
