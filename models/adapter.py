"""Somebody's own PyTorch decoder as a Pyro model."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from elbowroom.models.decoder_model import DecoderModel
from elbowroom.models.given_decoder import GivenDecoder
from elbowroom.models.likelihoods import make_likelihood
from elbowroom.models.priors.given import PriorProgram
from elbowroom.networks.checks import check_choice, check_size, check_sizes, reference_tensor
from elbowroom.networks.functions import as_network
from elbowroom.networks.outputs import OUTPUTS
from elbowroom.networks.reading import one_reader, pair_reader

_SPREADS = ("mean_log_var", "mean_std", "mean_log_std")


def from_decoder(
    decoder: nn.Module | Callable[..., Any],
    *,
    latent_dim: int | Sequence[int],
    likelihood: str,
    output: str | None = None,
    sigma: float | None = None,
    floor: float | None = None,
    likelihood_options: Mapping[str, Any] | None = None,
    prior: Any = None,
    num_given: int = 0,
) -> DecoderModel:
    """The model z ~ N(0, I_D), x | z ~ likelihood(decoder(z)) around an existing network.

    The network is neither copied nor changed: `model.decoder is decoder`, if it is a module. Put it in the mode you
    mean (`decoder.eval()` for evaluation): with dropout or batch normalisation in training mode one datum's terms
    depend on the others'. Its outputs may have an image's shape; they and the data `[B, ...]` are flattened
    to `[B, P]`. A decoder that takes only z `[N, D]` (a convolutional one) is welcome.

    Args:
        decoder: a network from z `[N, D]` to what `output` says, alone or under one of the usual names in a mapping or
            object (`reconstruction`, `sample`, …); or a function or method of networks, such as `vae.decode`.
        latent_dim: D; or the shape of a datum's latents, such as (4, 8, 8), in which the decoder wants them.
        likelihood: a name in `LIKELIHOODS`, see `VAE`.
        output: what the network returns; None if that is a distribution object, which is read as the likelihood's.
            `"logits"` or `"probs"` for a Bernoulli, continuous Bernoulli or binomial, `"logits"` for a multinomial and,
            with the levels in the last dimension, a categorical; `"mean"` for a Normal with one σ, a pair
            `"mean_log_var"`, `"mean_std"` or `"mean_log_std"` for σ(z); `"log_rate"` or `"rate"` for a Poisson;
            `"log_mean"` for a negative binomial, a pair `"log_mean_gate"` (gate: the logit of an extra zero) for a
            zero-inflated one; a pair `"mean_log_scale"` for a discretised logistic (in units in which the levels fill
            [−1, 1]); a pair `"log_concentrations"` (log α, log β) for a beta. Probabilities of exactly 0 or 1 are
            taken one rounding step away from it, as in torch, which bounds each value's log-probability (−15.9 nats
            in 32 bits).
        sigma: σ of `"normal-fixed"`; what `"normal-learned"` starts from.
        floor: what a learned σ or σ(z) stays above. By default 1e-3 for the σ learned here and 0 for σ(z):
            what the network says is left as it is.
        likelihood_options: other options of the likelihood, such as `{"levels": 17}`; `{"data_dim": P}` gives a
            negative binomial a dispersion for each entry instead of one.
        prior: p(z), if the model was trained with another than N(0, I): a distribution of D real values, or a module or
            function that returns one when it is called without arguments, such as a flow of zuko; a VampPrior is
            `elbowroom.models.PosteriorMixture(encoder, pseudo_inputs, output=…)`.
        num_given: how many further arguments of each datum the decoder takes after z, such as labels: the model is then
            called with (x, *given), and every number is log p(x | given).

    Raises:
        TypeError: if the decoder cannot be called; on the first call, if it returns something else.
        ValueError: if the likelihood or output is unknown or they do not go together, or a number is out of
            range.
    """
    decoder = as_network("decoder", decoder)
    if output is not None:
        check_choice("output", output, OUTPUTS)
    if floor is None and (output in _SPREADS or (output is None and likelihood == "normal-heteroscedastic")):
        floor = 0.0
    p_x = make_likelihood(likelihood, **{"sigma": sigma, "floor": floor, **(likelihood_options or {})})
    if output is not None and output not in p_x.outputs:
        raise ValueError(
            f"output: got {output!r}, but the likelihood {likelihood!r} takes {' or '.join(map(repr, p_x.outputs))}"
        )
    like = reference_tensor(decoder)
    reader = pair_reader if p_x.outputs[0].startswith("mean_std") else one_reader
    shape = check_sizes("latent_dim", latent_dim if isinstance(latent_dim, Sequence) else (latent_dim,))
    read = reader("decoder", output, p_x.outputs)
    dim = math.prod(shape)
    p_z = None if prior is None else PriorProgram(prior, dim)
    options: dict[str, Any] = {"read": read, "like": like, "latent_shape": shape, "prior": p_z}
    if not num_given:
        return DecoderModel(decoder, p_x.to(like), dim, **options)
    if p_x.needs_exposure:
        raise ValueError(
            "num_given: this likelihood takes the data's sizes as an argument of its own; write other models as a Pyro "
            "program"
        )
    return GivenDecoder(check_size("num_given", num_given), decoder, p_x.to(like), dim, **options)
