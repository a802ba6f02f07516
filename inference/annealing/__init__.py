"""Paths of densities from a tractable start to the posterior: AIS, its reverse, tempered SMC."""
