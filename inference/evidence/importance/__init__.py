"""What is log p(x) by draws of the guide alone? Importance sampling, and every bound on the same weights.

    log p̂(x) = log (1/S) Σ_s w_s,    w = p(x, z) / q(z | x),    z ~ q(z | x):    E[log p̂(x)] ≤ log p(x)

Samples are streamed: chunks of log w [S', B] are reduced as they come, and a few sums a datum are kept, with the
largest weights for Pareto k̂. What q never visits is seen by none of these numbers.

    importance.py    log p̂(x), with ELBO, IWAE-K, effective sample size and k̂ of the same weights
    bounds.py        all bounds by name: IWAE, Rényi, χ, jackknife, upper ones, and two that fail
    bounds_result.py what they come to: a mapping, a table
    streaming.py     the sums that are kept of weighted draws, chunk by chunk
    harmonic.py      the harmonic mean of likelihoods, flagged as unusable

Read importance.py first. Imports: weights, estimate, evaluation, target, programs; of mcmc the Draws that
`bounds` takes.
"""
