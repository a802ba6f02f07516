"""The words of the page that not every reader knows: each is explained where it stands, and all of them at the end."""

TERMS = {
    "nat": "The unit of log-probabilities with the natural logarithm. One nat is a factor of e ≈ 2.7 in probability; "
    "1 nat = 1.44 bits.",
    "ELBO": "The evidence lower bound, what variational training makes large. It is never above log p(x).",
    "log p(x)": "The log-probability (density) that the model gives to a datum, all latents summed over. It is "
    "estimated from below and from above.",
    "room": "log p(x) − ELBO, for each datum. It equals the divergence KL(q ‖ p) of q from the posterior.",
    "q": "The guide: the approximate posterior that the encoder gives for a datum.",
    "encoder’s part": "The amortization gap: what fitting the same family to each datum by itself would gain.",
    "family’s part": "The approximation gap: what is left when the best member of the family is found.",
    "KL(q ‖ p), KL(p ‖ q)": "Two divergences, both zero only if q is the posterior. The first forgives q for leaving "
    "modes out, the second does not.",
    "k̂": "How heavy the tail of the importance weights is. Below 0.7 q’s draws can be reweighted to the posterior; "
    "above, the answers of importance sampling are unreliable.",
    "R-hat": "Whether several Markov chains agree: 1 if they do, more if they have not met the same posterior.",
    "ESS": "How many independent draws the draws of the chains are worth, for the bulk and for the tails.",
    "divergent": "A transition that lost its way where the posterior bends too sharply.",
    "E-BFMI": "Whether the chains move freely between high and low probability; small values: they do not.",
    "Wasserstein distance": "How far probability must be moved to turn one distribution into the other (W₁).",
    "classifier (C2ST)": "How often a classifier tells draws of q from draws of the posterior: 0.5 if it cannot.",
    "ranks (SBC)": "Simulation-based calibration: where the true latent of simulated data ranks among draws of q.",
    "TARP": "Tests of accuracy with random points: how often regions around random points, of all latents together, "
    "hold the truth.",
    "rate": "KL(q(z|x) ‖ p(z)): how much the latents are made to say about a datum.",
    "mutual information": "How much of the rate tells data apart.",
    "active, collapsed": "A latent is active if its mean under q changes from datum to datum; if q is the prior "
    "whatever the datum, it has collapsed.",
    "Monte Carlo": "Of an interval: the data are held fixed, and other random numbers would move the number by so "
    "much. ± is one standard error, an interval of 95 % about two on each side.",
    "as a sample, drawn anew": "Of an interval: others of these data, or other data of the kind, would move the number "
    "by so much.",
}
"""Term -> one or two sentences."""
