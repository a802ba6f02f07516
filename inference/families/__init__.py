"""Which member of a family is nearest to p(z | x)? Families fitted to all data in one batch.

    q(u) = Σ_k π_k N(u; m_k, L_k L_kᵀ),   L_k diagonal or triangular,   of the largest E_q[log p(x, u) − log q(u)]

With u = m_k + L_k ε and the path derivative r = L_kᵀ ∇_u [log p(x, u) − log q(u)], a natural-gradient step moves m_k
by L_k E[r] and changes L_k by E[r εᵀ]: both are zero draw by draw where q is exact.

    family.py         Family: shares, means, scales, and its density
    of_data.py        the log densities that members are fitted to
    expectation.py    draws of a family, log w and r there
    fitting.py        fit_family: natural-gradient steps, with a rate and a stop for each datum
    scoring.py        a member's ELBO on draws common to all families, and what it lacks of the best one nearby
    from_guide.py     read_guide: the guide's own distribution as a Gaussian
    bend.py           Bend: an invertible map with parameters of each datum
    bent.py           BentFamily: members bent by it, a flow
    bending.py        fit_bend: gradient steps in these parameters

Read family.py first, then expectation.py. Imports: mcmc, evaluation; it knows no rung, no
bracket and no decomposition.
"""
