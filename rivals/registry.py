"""The rows of the table by name: a line for each."""

from elbowroom.rivals.rival import Rival
from elbowroom.rivals.with_latents import hierarchy, mixture, vae
from elbowroom.rivals.without_latents import density

BOTH = ("binary", "levels")

_SUMS = "p(x|k) is normalised, and k is summed over"
_INTEGRATES = "p(x|z) is normalised; the integral over z is"
_SLOW = "say log p(x) in one pass"

RIVALS: dict[str, Rival] = {
    "pixels": Rival(
        "independent pixels", BOTH, "a product of normalised factors", "know that pixels go together", mixture(1)
    ),
    "mixture": Rival("mixture of 50, by EM", BOTH, _SUMS, "vary a template: a datum is one of 50", mixture(50)),
    "vae-2": Rival(
        "VAE, 2 latents", BOTH, f"{_INTEGRATES} summed on a lattice", _SLOW, vae(2, (64, 64), num_epochs=200)
    ),
    "vae-10": Rival(
        "VAE, 10 latents",
        BOTH,
        f"{_INTEGRATES} bracketed from both sides",
        _SLOW,
        vae(10, (128, 128), num_epochs=150, warmup_epochs=50),
    ),
    "hierarchy": Rival(
        "hierarchical VAE, 10 and 4 latents",
        ("binary",),
        f"{_INTEGRATES} bracketed from both sides",
        _SLOW,
        hierarchy((10, 4), (128,), num_epochs=150, warmup_epochs=50),
    ),
    "rbm": density("rbm", "Boltzmann machine, 16 hidden units", ("binary",)),
    "sigmoid-net": density("made", "each pixel by regression on those before", BOTH, {"hidden": ()}),
    "made": density("made", "autoregressive network, 512 units", BOTH, of_levels={"num_epochs": 40}),
    "made-orders": density(
        "made", "three of them in orders of their own, mixed", BOTH, {"num_orders": 3}, of_levels={"num_epochs": 40}
    ),
    "flow-coupling": density("flow-coupling", "flow, 6 affine couplings", ("levels",)),
    "flow-maf": density("flow-maf", "flow, 3 affine autoregressive layers", ("levels",)),
    "flow-spline": density("flow-spline", "flow, 2 autoregressive splines", ("levels",)),
    "diffusion": density("diffusion", "diffusion in continuous time", ("levels",)),
    "gan": density("gan", "adversarial network, noise added", ("levels",)),
}
"""Name -> row. Each is trained with a seed, for seconds on one core."""
