"""Translation between Chat Completions, Messages and Responses, through one neutral form."""
