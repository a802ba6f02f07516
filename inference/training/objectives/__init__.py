"""What does training climb? Each objective one file, all of them on log w `[K, B]` of each datum by itself.

    log w[k, b] = log p(x_b, z[k, b]) − log q(z[k, b] | x_b)

    contract.py                 what an objective is told, and what it says of itself
    registry.py                 their names
    runs.py                     both programs run on draws of the guide, read off by particle and datum
    per_datum.py                what the objectives on log w share: a value, and a surrogate for its gradient
    pyro_losses.py              Pyro's own losses
    summed_elbo.py              the ELBO of models whose discrete latents are summed out
    free_bits.py                the ELBO with a floor under each KL
    iwae.py                     the importance-weighted bound
    renyi.py                    Rényi's bound
    path_gradients.py           gradients along the paths of draws alone
    sticking_the_landing.py     the ELBO by these
    doubly_reparameterised.py   the importance-weighted bound by these
    fixed_draws.py              draws without a gradient
    score_function.py           the ELBO by the score of those, with a baseline
    wake_sleep.py               reweighted wake-sleep
    simulated.py                its sleep: data that the model draws
    summed_guide.py             the ELBO with finite latents of the guide summed over
    semi_supervised.py          that, and a classifier's term for labels that are told
    exact.py                    log p(x) itself, by a lattice over up to two latents
    quantized.py                codes of a codebook, by the straight-through estimator
    own.py                      a function of the caller's

Read per_datum.py first, then iwae.py. Imports: weights, programs, and the argument checks of training.
"""
