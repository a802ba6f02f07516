"""What models of data beside a context share: x | z, c ~ likelihood(network(z, c))."""

from collections.abc import Mapping
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size
from elbowroom.models.latent_model import Generated
from elbowroom.models.likelihoods import make_likelihood
from elbowroom.models.likelihoods.exposure import check_no_exposure
from elbowroom.models.priors import draw_standard_normal
from elbowroom.networks.context import beside, check_context
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.program import Program
from elbowroom.networks.registry import make_decoder


class ContextModel(Program):
    """A model whose decoder reads the latents and a context, `[z, c]`; a subclass says what `prior` and `forward` are.

    Args:
        data_dim: P, the number of values of a datum.
        latent_dim: D, the number of latent variables of a datum.
        context_dim: C, the numbers that a context has; of labels, the number of classes, for they are read as one-hot.
        hidden: the widths of the decoder's hidden layers, by default (64, 64).
        likelihood, sigma, floor, likelihood_options: of p(x|z, c), as of `VAE`, but for `exposure`.
        activation: `"silu"`, `"gelu"`, `"tanh"`, `"softplus"`, `"elu"` or `"relu"`.

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        context_dim: int,
        hidden: tuple[int, ...] | None = None,
        likelihood: str = "bernoulli",
        *,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        activation: str = DEFAULT_ACTIVATION,
    ) -> None:
        super().__init__()
        self.data_dim = check_size("data_dim", data_dim)
        self.latent_dim = check_size("latent_dim", latent_dim)
        self.context_dim = check_size("context_dim", context_dim)
        options = {"sigma": sigma, "floor": floor, **(likelihood_options or {})}
        self.likelihood = make_likelihood(likelihood, data_dim=self.data_dim, **options)
        check_no_exposure(self.likelihood)
        self.decoder = make_decoder(
            "mlp",
            self.latent_dim + self.context_dim,
            hidden,
            self.data_dim,
            output=self.likelihood.own_output,
            per_value=self.likelihood.per_value,
            activation=activation,
        )
        self.register_buffer("prior_loc", torch.zeros(self.latent_dim), persistent=False)

    def prior(self, context: Tensor) -> dist.TorchDistribution:
        """p(z|c), a diagonal Normal, for contexts `[*batch, C]`: batch shape `[*batch]` or `[]`, event shape `[D]`."""
        raise NotImplementedError

    def decode(self, z: Tensor, context: Tensor) -> dist.TorchDistribution:
        """p(x|z, c) for z `[*batch, D]` and contexts `[*batch, C]`, which broadcast: event shape `[P]`."""
        outputs = self.decoder(beside(z, context))
        p_x: dist.TorchDistribution = self.likelihood(*((outputs,) if isinstance(outputs, Tensor) else outputs))
        return p_x

    @torch.no_grad()
    def generate(self, context: Tensor, *, seed: int = 0) -> Generated:
        """Draws z ~ p(z|c), one for each context, and the mean of x given both; no global random state is used.

        Args:
            context: vectors `[N, C]`, or class labels `[N]` of an integer dtype.
            seed: the same seed gives the same draws.
        """
        noise = draw_standard_normal(check_size("contexts", len(context)), self.prior_loc, seed=seed)  # [N, D]
        vectors = check_context(context, self.context_dim, noise)
        p_z = self.prior(vectors)
        z = p_z.mean + p_z.stddev * noise
        return Generated(z, self.decode(z, vectors).mean)
