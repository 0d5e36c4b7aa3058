"""The only sockets, timers and TLS."""
