"""The MySQL protocol over streams: a client's login here, ours at RDS, refusals and farewells."""
