"""How does somebody else's model come here? Objects of plain PyTorch and of other libraries as a model and a guide.

    model, guide = from_vae(vae, x, likelihood="bernoulli", decoder_output="logits")
    Target(model, guide, x)

    vae.py    any object that encodes and decodes

Read vae.py first. Imports: models and guides; other libraries only inside of functions that are given their objects.
"""

from elbowroom.adapters.vae import from_vae

__all__ = ["from_vae"]
