"""Observation models p(x | z)."""
