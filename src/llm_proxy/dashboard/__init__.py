"""The page's server side."""
