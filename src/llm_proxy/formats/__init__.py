"""What each API format means: events, errors, usage."""
