"""May q be used, and for what?

The room log p(x) − ELBO = KL(q(z|x) ‖ p(z|x)) is one number. What it spoils depends on the use: posterior means,
intervals, tails, model comparison. So q is held against the posterior of each datum, and on average over data that
the model itself makes.

    agreement/       is q(z | x_b) the posterior of each datum? Errors, missed modes, the uses that survive
    calibration/     is q right on average over data simulated from the model? Ranks, coverage, TARP
    latent_use/      what does the model do with its latents? Activity, information, collapse
    changed_data/    would the networks like the data better turned over, scaled, in another order?
    respread.py      would q do better if it were wider, or narrower, by one factor everywhere?
    baselines.py     what a model without latents says of the same data
    own_loss.py      what training printed, beside what these programs have
    code_usage.py    which codes of a codebook are used, and how evenly
    marginals.py     one datum's posterior as guide, importance sampling, MCMC and quadrature see it
    second_sampler.py   whether NUTS says the same as HMC
    comparison.py    compare: these four side by side, for chosen data; comparison_result.py: its results

Read agreement/agreement.py first. Imports: evidence, mcmc, evaluation, saving, target, programs, weights, estimate;
never gap or audit. Inside: agreement and comparison use marginals; the three rooms do not know each other.
"""
