"""What is log p(x)? Estimators, one room for each method.

Every estimator is `f(target, *, …) -> Estimate`: a value and a standard error for each datum, `[B]` nats, and what
the value bounds in expectation. With w = p(x, z) / q(z | x):

    log p(x) = log E_q[w]  ≥  E_q[log w] = ELBO.

    importance/    z from the guide: lower bounds; `bounds` adds what the same weights say from above
    quadrature/    up to three latents: the integral itself
    annealing/     z carried along f_β ∝ start^(1−β) joint^β: lower bounds; back from the posterior: upper ones
    bridge/        from posterior draws: a proposal fitted to them and weighed from both sides, and the optimal bridge
    bracket/       all of them within a time budget, datum by datum
    perplexity.py  of bags of words: log p(x) per word
    bits.py        of images: log p(x) in bits per dimension
    second_opinion.py
                   from the prior alone: what lies below it has missed a mode

Read importance/importance.py first. Imports: families, mcmc, evaluation, saving, target, programs, weights, estimate;
never gap, diagnostics or audit. Inside: bracket, then bridge, then the other three, which do not know each other, then
second_opinion.py.
"""
