"""Decisions as pure functions and small state, without clock, chance or I/O."""
