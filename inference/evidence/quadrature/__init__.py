"""What is log p(x) where a datum has up to three latents? The integral, by the trapezoidal rule.

    p(x) = ∫ p(x, T(u)) |det dT/du| du  ≈  h_1 ⋯ h_D Σ_i p(x, T(u_i)) |det dT/du|_i

on a lattice of spacing h that grows from every mode found over all points within 20 nats of the highest. For smooth
integrands that vanish at the edge its error falls faster than any power of h. Two successive lattices must agree;
their difference is the error.

    quadrature.py    the call: log p(x), posterior moments and quantiles, both KL divergences
    starts.py        where to look for modes: a scan of the prior's mass, draws of guide and prior
    modes.py         Newton ascent to the modes, and their curvature
    lattice.py       one lattice, grown from its seeds
    refinement.py    finer lattices until two agree, each datum on its own
    quantiles.py     quantiles of a lattice's marginals

Read lattice.py first, then quadrature.py. Imports: evaluation, target, estimate.
"""
