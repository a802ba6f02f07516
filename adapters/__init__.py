"""How does somebody else's model come here? Objects of plain PyTorch and of other libraries as a model and a guide.

    model, guide = from_vae(vae, x, likelihood="bernoulli", decoder_output="logits")
    Target(model, guide, x)

    vae.py          any object that encodes and decodes
    pythae.py       pythae's VAE and what is derived from it
    scvi.py         SCVI and LinearSCVI of scvi-tools: counts, given library sizes and batches
    sigma.py        the σ that maximises the ELBO, for decoders trained by squared error
    diffusers.py    AutoencoderKL of diffusers
    posteriors.py   q(z|x) of sbi or of zuko, with a log p(x, z) of one's own
    monitor.py      a hook for training loops
    lightning.py    the same as a callback of Lightning

Read vae.py first. Imports: networks, models, guides, inference; of other libraries Lightning alone, inside of the
function that makes its callback: the others' objects are used as they are.
"""

from elbowroom.adapters.diffusers import from_autoencoder_kl
from elbowroom.adapters.lightning import lightning_callback
from elbowroom.adapters.monitor import Monitor, Watched
from elbowroom.adapters.posteriors import from_posterior
from elbowroom.adapters.pythae import from_pythae
from elbowroom.adapters.scvi import from_scvi
from elbowroom.adapters.sigma import FittedSigma, fit_sigma
from elbowroom.adapters.vae import from_vae

__all__ = [
    "FittedSigma",
    "Monitor",
    "Watched",
    "fit_sigma",
    "from_autoencoder_kl",
    "from_posterior",
    "from_pythae",
    "from_scvi",
    "from_vae",
    "lightning_callback",
]
