"""The PostgreSQL protocol over streams: a client's login here, ours at RDS, requests to cancel, refusals."""
