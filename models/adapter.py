"""Somebody's own PyTorch decoder as a Pyro model."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from elbowroom.models.decoder_model import DecoderModel
from elbowroom.models.likelihoods import make_likelihood
from elbowroom.networks.checks import check_choice, check_module, reference_tensor
from elbowroom.networks.outputs import OUTPUTS


def from_decoder(
    decoder: nn.Module,
    *,
    latent_dim: int,
    likelihood: str,
    output: str,
    sigma: float | None = None,
    floor: float | None = None,
    likelihood_options: Mapping[str, Any] | None = None,
) -> DecoderModel:
    """The model z ~ N(0, I_D), x | z ~ likelihood(decoder(z)) around an existing network.

    The network is neither copied nor changed: `model.decoder is decoder`. Put it in the mode you mean
    (`decoder.eval()` for evaluation): with dropout or batch normalisation in training mode one datum's terms
    depend on the others'. Its outputs may have an image's shape; they and the data `[B, ...]` are flattened
    to `[B, P]`. A decoder that takes only z `[N, D]` (a convolutional one) is welcome.

    Args:
        decoder: a network from z `[N, D]` to what `output` says.
        latent_dim: D.
        likelihood: a name in `LIKELIHOODS`, see `VAE`.
        output: what the network returns: `"logits"` or `"probs"` for a Bernoulli, continuous Bernoulli or binomial,
            `"logits"` for a multinomial and, with the levels in the last dimension, a categorical; `"mean"` for a
            Normal with one σ, a pair `"mean_log_var"` or `"mean_std"` for σ(z); `"log_rate"` or `"rate"` for a
            Poisson; `"log_mean"` for a negative binomial, a pair `"log_mean_gate"` (gate: the logit of an extra zero)
            for a zero-inflated one; a pair `"mean_log_scale"` for a discretised logistic (in units in which the levels
            fill [−1, 1]); a pair `"log_concentrations"` (log α, log β) for a beta. Probabilities of exactly 0 or 1 are
            taken one rounding step away from it, as in torch, which bounds each value's log-probability (−15.9 nats
            in 32 bits).
        sigma: σ of `"normal-fixed"`; what `"normal-learned"` starts from.
        floor: what a learned σ or σ(z) stays above. By default 1e-3 for the σ learned here and 0 for σ(z):
            what the network says is left as it is.
        likelihood_options: other options of the likelihood, such as `{"levels": 17}`; `{"data_dim": P}` gives a
            negative binomial a dispersion for each entry instead of one.

    Raises:
        TypeError: if the decoder is not an `nn.Module`; on the first call, if it returns something else.
        ValueError: if the likelihood or output is unknown or they do not go together, or a number is out of
            range.
    """
    decoder = check_module("decoder", decoder)
    read = OUTPUTS[check_choice("output", output, OUTPUTS)]
    if floor is None and output in ("mean_log_var", "mean_std"):
        floor = 0.0
    p_x = make_likelihood(likelihood, **{"sigma": sigma, "floor": floor, **(likelihood_options or {})})
    if output not in p_x.outputs:
        raise ValueError(
            f"output: got {output!r}, but the likelihood {likelihood!r} takes {' or '.join(map(repr, p_x.outputs))}"
        )
    like = reference_tensor(decoder)
    return DecoderModel(decoder, p_x.to(like), latent_dim, read=partial(read, "decoder"), like=like)
