"""The built-in provider: canned answers in every format, and faults on request."""
