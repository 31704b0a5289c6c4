"""A local MySQL proxy that logs in to Amazon RDS and Aurora with IAM tokens."""

__version__ = "0.1.0"
