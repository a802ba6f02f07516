"""The variational autoencoder's generative model: a standard-normal prior and an MLP decoder."""

from collections.abc import Mapping
from typing import Any

from elbowroom.models.decoder_model import DecoderModel
from elbowroom.models.likelihoods import make_likelihood
from elbowroom.networks.checks import check_size
from elbowroom.networks.mlp import DEFAULT_ACTIVATION, MeanStd, Pair, mlp

# The network that says what a likelihood wants to hear.
_NETWORKS = {
    "logits": mlp,
    "mean": mlp,
    "mean_std": MeanStd,
    "mean_log_scale": Pair,
    "log_rate": mlp,
    "log_mean": mlp,
    "log_mean_gate": Pair,
    "log_concentrations": Pair,
}


class VAE(DecoderModel):
    """z ~ N(0, I_D), x | z ~ likelihood(MLP(z)), as in Kingma & Welling (2014, appendix C).

    Args:
        data_dim: P, the number of values of a datum.
        latent_dim: D, the number of latent variables of a datum.
        hidden: the widths of the decoder's hidden layers, from z to x.
        likelihood: a name in `LIKELIHOODS`. Zeros and ones: `"bernoulli"`. Real numbers: `"normal-fixed"` (needs
            `sigma`), `"normal-learned"` (one learned σ, starting from `sigma`, 1 by default; read it at
            `model.likelihood.sigma`) or `"normal-heteroscedastic"` (σ(z) from a second head). Numbers in [0, 1]:
            `"continuous-bernoulli"`, `"beta"` (the ends excluded). Levels 0, 1, …: `"binomial"` (needs `trials`),
            `"categorical"`, `"discretised-logistic"` (need `levels`). Counts: `"poisson"`, `"negative-binomial"`,
            `"zero-inflated-negative-binomial"` (each with `exposure="total"` or without), `"multinomial"`.
        sigma: σ of a Normal likelihood, in the units of x.
        floor: what a learned σ or σ(z) stays above, 1e-3 by default: about the rounding of 8-bit grey values.
        likelihood_options: other options of the likelihood, such as `{"levels": 17}`.
        activation: `"silu"`, `"gelu"`, `"tanh"`, `"softplus"`, `"elu"` or `"relu"`. A smooth one keeps the
            posterior smooth, which quadrature and HMC reward.

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood.
    """

    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: tuple[int, ...] = (64, 64),
        likelihood: str = "bernoulli",
        *,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        activation: str = DEFAULT_ACTIVATION,
    ) -> None:
        data_dim, latent_dim = check_size("data_dim", data_dim), check_size("latent_dim", latent_dim)
        options = {"sigma": sigma, "floor": floor, **(likelihood_options or {})}
        p_x = make_likelihood(likelihood, data_dim=data_dim, **options)
        decoder = _NETWORKS[p_x.outputs[0]](latent_dim, hidden, p_x.width(data_dim), activation=activation)
        super().__init__(decoder, p_x, latent_dim)
        self.data_dim = data_dim
