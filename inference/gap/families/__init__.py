"""Families of posteriors, fitted to every datum at once."""
