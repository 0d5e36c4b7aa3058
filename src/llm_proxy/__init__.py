"""LLM Proxy: one process between AI clients and any number of LLM providers."""

__version__ = "0.1.0"
