"""Bytes to meaning and back, without sockets."""
