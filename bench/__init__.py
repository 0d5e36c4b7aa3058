"""Measures the proxy against nginx and against no proxy at all, in one run."""
