"""log p(x) from draws of the guide."""
