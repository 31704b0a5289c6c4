"""Credentials from every source that boto3 knows, endpoints in the DNS, each through to a real server's login."""
