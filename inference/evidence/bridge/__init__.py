"""What is log p(x), given draws of the posterior? Two estimators that fit a proposal g to the draws of each datum.

With l(u) = p(x, u) / g(u), u in unconstrained coordinates, and s_1 + s_2 = 1 the two samples' shares:

    adapted_importance    log mean_j l(v_j), v_j ~ g: a lower bound in expectation, and an upper one of the same weights
    bridge                r = mean_j [l(v_j) / (s_1 l(v_j) + s_2 r)] / mean_i [1 / (s_1 l(u_i) + s_2 r)], u_i ~ p(u | x)

The bridge also weighs the posterior's draws, so g need not have the wider tails; but it bounds nothing, and draws that
miss a mode miss it in both.

    bridge.py         `bridge`: half of each chain fits g, the other half is bridged to it
    proposals.py      g: a mixture of Gaussians, one Gaussian, or the guide
    halves.py         one bridge between two parts of the chains
    fixed_point.py    the optimal bridge r
    error.py          the error of r, and which of the two samples it comes from
    tails.py          Pareto k̂ of the terms of both means, and what their tails can hide
    exchange.py       blocks of the chains dealt anew: do the estimates differ by the error that they report?
    both_sides.py     both bounds from one set of weights
    adapted.py        `adapted_importance`

Read bridge.py first. Imports: importance/ (its reductions), mcmc, evaluation, target, weights, estimate; not bracket/.
"""
