"""What every amortized guide is: z_b ~ q(z|x_b), one distribution per datum."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from elbowroom.networks.program import Program


class AmortizedGuide(Program):
    """A guide that is one distribution per datum; a subclass says what `encode` is.

        z_b ~ encode(x_b),    b = 1 … B

    Calling it with the model's data runs the program with the site `"z"` in the plate `"data"`. The encoder
    runs once per datum, however many samples an outer plate asks for.
    """

    def encode(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) for data `x [B, ...]`: batch shape `[B]`, event shape `[D]`."""
        raise NotImplementedError

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on data `x [B, ...]`.

        Args:
            x: data.
            *given: what else the model is given, such as the data's sizes; the encoder does without.

        Returns:
            z: the latents of this run, `[B, D]` or, under a plate of samples, `[S, B, D]`.
        """
        q_z = self.encode(x)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", q_z)
