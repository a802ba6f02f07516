"""Where does the room log p(x) − ELBO come from?

    log p(x) = ELBO + amortization + optimisation + approximation

amortization: what the best member found of q's own family has over the encoder's output; optimisation: what that
member lacks of the best one nearby; approximation: what the family lacks. Every datum climbs a ladder (encoder,
own-family, mean-field, full covariance, mixture, and a flow where one is asked for), each rung started from the one
before, and again from modes found elsewhere, and kept only where it scores better beyond noise. No number of a refined
guide stands alone: log p(x) has a second opinion that did not begin there, and members that hold a part of the
posterior only are known by it.

    decompose.py          the call
    result.py             Decomposition
    ladder.py             the ladder of all data, in chunks
    own_family.py         the family of a guide that is no Gaussian: its Normals moved and widened, its networks frozen
    climbed.py            how high every rung reaches
    rungs.py              each rung: where it starts and what it fits, from the encoder and from elsewhere
    bent_rung.py          the last rung, where it is asked for: flows
    elsewhere.py          points of the posterior that the encoder did not lead to
    exploded_outputs.py   encoder outputs that no posterior can be
    log_p.py              log p(x) to hold the ladder against: given, by a lattice, or annealed
    annealed.py           log p(x) annealed from the members, and a second opinion that did not begin there
    held.py               how much of the posterior the members hold
    shares.py             whose room the rest is: the family's, or the search's
    refined.py            the best members as a guide
    refined_target.py     … as a Target; offset_target.py: those of the guide's own family
    refined_program.py    … as a Pyro program; offset_program.py, likewise
    attribution.py        KL(q ‖ p(z|x)) by latent site
    overfitting.py        the amortization gap on training against test data
    retraining.py         a new guide beneath the same model, and what it gains

Read decompose.py first, then rungs.py. Imports: evidence, families, mcmc, training, evaluation, target, programs,
weights, estimate; never diagnostics or audit.
"""

from elbowroom.inference.gap.attribution import SiteAttribution, attribute_sites
from elbowroom.inference.gap.decompose import decompose
from elbowroom.inference.gap.overfitting import EncoderOverfitting, encoder_overfitting
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.gap.result import Decomposition
from elbowroom.inference.gap.retraining import RetrainedGuide, retrain_guide

__all__ = [
    "Decomposition",
    "EncoderOverfitting",
    "RefinedGuide",
    "RetrainedGuide",
    "SiteAttribution",
    "attribute_sites",
    "decompose",
    "encoder_overfitting",
    "retrain_guide",
]
