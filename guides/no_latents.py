"""The guide of a model whose latents are all summed out."""

from typing import Any

from elbowroom.networks.program import Program


class NoLatents(Program):
    """q of no latents: log q = 0, for models whose finite discrete latents `Target` and `fit` sum out of p(x, z).

        log w = log Σ_z p(x, z) = log p(x)

    so that the ELBO is log p(x), and training by it is maximum likelihood. It has no parameters and takes the model's
    arguments, whatever they are.
    """

    def forward(self, *data: Any) -> None:
        """Draws nothing."""
