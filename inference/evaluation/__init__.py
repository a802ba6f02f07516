"""A target at many points: coordinates, byte budget, recorded programs, random numbers."""
