"""log p(x) from posterior draws."""
