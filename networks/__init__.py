"""Networks, and what their outputs say about a distribution."""
