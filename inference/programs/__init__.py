"""A pair of Pyro programs: read, checked, run."""
