"""The admin address. `server` is imported only when one is configured: aiohttp takes 0.4 s."""
