"""Real sockets for tests: a provider that misbehaves on request, a raw client, the proxy's process."""
