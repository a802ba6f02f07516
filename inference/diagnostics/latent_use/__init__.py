"""What does a model do with its latents: which carry information on x, which have collapsed, and why?

    E_x KL(q(z|x) ‖ p(z)) = I_q(x; z) + KL(q(z) ‖ p(z)),    q(z) = mean over data of q(z | x_b)

The rate on the left is what the ELBO pays; a latent whose mean does not vary over data (variance below 0.01) is not
active.

    use.py            the call
    result.py         LatentUse
    summary.py        one pass over draws of q: moments, KL and rate of each latent
    information.py    activity, mutual information, aggregate posterior against prior
    collapse.py       dead latents, and the likely cause of each
    silence.py        whether q says anything at all, by a few draws and no chains
    pruning.py        log p̂(x) again with the dead latents drawn from the prior
    whereabouts.py    where the codes of all data lie beside the prior
    observation.py    σ of a Gaussian likelihood: how large it is, and how large it should be

Read summary.py first, then use.py. Imports: evaluation, target, programs, weights, estimate.
"""

from elbowroom.inference.diagnostics.latent_use.result import LatentUse
from elbowroom.inference.diagnostics.latent_use.silence import Silence, silence
from elbowroom.inference.diagnostics.latent_use.use import latent_use

__all__ = ["LatentUse", "Silence", "latent_use", "silence"]
