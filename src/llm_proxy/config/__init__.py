"""From environment and file to settings."""
