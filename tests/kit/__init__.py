"""What several tests stand on: proxies as processes, clients, false servers, a make-believe AWS. No test."""
