"""What is looked at in an audit: attributes of its parts by name, and one line on what each is."""

SIDES = ("lower", "upper")
TERMS = {
    "log_p": "log p(x)",
    "amortization": "best member found of the guide's family less the encoder's output",
    "optimisation": "how far the member found is from the best one nearby, to second order",
    "approximation": "log p(x) less the best member of the guide's family",
    "room": "log p(x) − ELBO = KL(q(z|x) ‖ p(z|x))",
}
PER_LATENT = {
    "mean_error": "(mean of q − posterior mean) / posterior sd",
    "log_sd_ratio": "log(sd of q / posterior sd)",
    "tail_mass": "posterior probability outside q's central 90 % interval",
    "far_tail_mass": "posterior probability outside q's central 99 % interval",
}
PER_DATUM = {
    "correlation_error": "largest |correlation under q − under the posterior|",
    "correlation_error_floor": "correlation_error that Monte Carlo noise alone would show",
    "mode_distance": "from q's mean to the nearest posterior mode, in posterior sds",
    "missed_mass": "posterior probability of modes in which q has next to no draws",
    "missed_mass_stderr": "",
    "c2st": "held-out accuracy of a classifier between draws of q and of the posterior",
    "c2st_stderr": "",
    "pareto_k": "Pareto tail index of the importance weights",
    "ess_share": "effective share of importance draws",
}
CURVES = {
    "band_low": "lower end of the simultaneous band of ecdf_difference",
    "band_high": "upper end of the simultaneous band of ecdf_difference",
    "coverage": "share of truths inside the guide's highest-density region of this level",
    "coverage_low": "lower end of the band of coverage",
    "coverage_high": "upper end of the band of coverage",
    "tarp": "expected coverage of TARP regions (Lemos et al. 2023)",
    "tarp_low": "lower end of the band of tarp",
    "tarp_high": "upper end of the band of tarp",
}
LATENTS = {
    "activity": "variance over data of E_q[z | x]",
    "activity_stderr": "",
    "active": "activity above 0.01",
    "kl": "mean over data of KL(q(z|x) ‖ p(z)), nats",
    "kl_stderr": "",
    "sensitivity": "root mean square change of log p(x | z) per prior sd, nats: zero where the decoder ignores it",
    "aggregate_mean": "of the aggregate posterior, in prior sds",
    "aggregate_sd": "of the aggregate posterior, in prior sds",
    "aggregate_distance": "Kolmogorov–Smirnov distance of the aggregate posterior's marginal to the prior's",
}
