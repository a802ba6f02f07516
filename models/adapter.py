"""Somebody's own PyTorch decoder as a Pyro model."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_count, check_sizes
from elbowroom.models.given_decoder import GivenDecoder
from elbowroom.models.likelihoods import make_likelihood
from elbowroom.models.likelihoods.normal import NormalFixed
from elbowroom.models.priors.given import PriorProgram
from elbowroom.networks.checks import reference_tensor
from elbowroom.networks.functions import as_network
from elbowroom.networks.reading import STACKED, DecoderReader


@checked
def from_decoder(
    decoder: nn.Module | Callable[..., Any],
    *,
    latent_dim: int | Sequence[int],
    likelihood: str,
    output: str | None = None,
    sigma: float | str | None = None,
    floor: float | None = None,
    likelihood_options: Mapping[str, Any] | None = None,
    prior: Any = None,
    num_given: int = 0,
) -> GivenDecoder:
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
        output: what the network returns, see below; None if that says so by itself: a distribution object, which is
            read as the likelihood's, or a mapping or object whose tensors have names that do.
        sigma: σ of `"normal-fixed"`, or `"optimal"` for the one that maximises the ELBO, which
            `elbowroom.adapters.fit_sigma` then computes; what `"normal-learned"` starts from.
        floor: what a learned σ or σ(z) stays above. By default 1e-3 for the σ learned here and 0 for σ(z):
            what the network says is left as it is.
        likelihood_options: other options of the likelihood: `{"levels": 17}`, `{"trials": 16}`, `{"exposure": …}` and
            `{"theta": …}` (a negative binomial's inverse dispersion θ, of all entries or of each, if the decoder does
            not say it; `{"data_dim": P}` for one of each entry that is yet to be learned).
        prior: p(z), if the model was trained with another than N(0, I): a distribution of D real values, or a module or
            function that returns one when it is called without arguments, such as a flow of zuko; a VampPrior is
            `elbowroom.models.PosteriorMixture(encoder, pseudo_inputs, output=…)`.
        num_given: how many further arguments of each datum the decoder takes after z, such as labels or library sizes:
            the model is then called with (x, *given), and every number is log p(x | given). The sizes that a likelihood
            with `exposure` multiplies means by come last, and do not count: (x, *given, sizes).

    What a network returns, by likelihood; `"stacked_"` before a name of several tensors if they are one, in equal parts
    of the first dimension of a datum:

    - Bernoulli, continuous Bernoulli, binomial: `"logits"` or `"probs"`.
    - Categorical and multinomial: `"logits"` (a log-softmax is one) or `"probs"`, a softmax; of a categorical with the
      levels in the last dimension of a datum or, as torch's cross-entropy takes them, in its first.
    - Normal: `"mean"` for one σ; `"mean_log_var"`, `"mean_std"` or `"mean_log_std"` for σ(z).
    - Discretised logistic: `"mean_log_scale"` or `"mean_scale"`, in units in which the levels fill [−1, 1].
    - Beta: `"log_concentrations"` or `"concentrations"`, α and β.
    - Poisson: `"log_rate"`, or `"rate"`, also called `"mean"`.
    - Negative binomial of mean μ and variance μ + μ²/θ: `"log_mean"` or `"mean"`; with θ, which may be one number or
      one for each entry, `"mean_theta"`, `"mean_log_theta"`, `"log_mean_theta"`, `"log_mean_log_theta"` (scvi's px_rate
      and px_r), or in torch's parameters `"total_count_logits"`, `"total_count_probs"`.
    - Zero-inflated negative binomial: the same names with `"_gate"` behind, and as last tensor the logit of an extra
      zero (scvi's px_dropout).

    Probabilities of exactly 0 or 1 are taken one rounding step away from it, as in torch, which bounds each value's
    log-probability (−15.9 nats in 32 bits); a mean, rate or share of exactly 0 is taken for the smallest number that
    there is. Distribution objects are those of torch or Pyro, `Independent` or not, and scvi's two of counts.

    Raises:
        TypeError: if the decoder cannot be called; on the first call, if it returns something else.
        ValueError: if the likelihood or output is unknown or they do not go together, or a number is out of
            range.
    """
    decoder = as_network("decoder", decoder)
    said = None if output is None else output.removeprefix(STACKED)
    if floor is None and likelihood == "normal-heteroscedastic":
        floor = 0.0
    told = {"sigma": sigma, "floor": floor, **(likelihood_options or {})}
    is_optimal = likelihood == "normal-fixed" and told["sigma"] == "optimal"
    p_x = make_likelihood(likelihood, **(told | {"sigma": 1.0} if is_optimal else told))
    p_x = p_x.wait_for_sigma() if is_optimal and isinstance(p_x, NormalFixed) else p_x
    if said is not None and (said not in p_x.outputs or (said != output and len(p_x.outputs[said].parts) == 1)):
        raise ValueError(
            f"output: got {output!r}, but the likelihood {likelihood!r} takes {' or '.join(map(repr, p_x.outputs))}"
        )
    p_x = p_x.hearing(said)
    like = reference_tensor(decoder)
    shape = check_sizes("latent_dim", latent_dim if isinstance(latent_dim, Sequence) else (latent_dim,))
    read = DecoderReader(output, p_x.outputs, p_x.of_object, p_x.per_value)
    dim = math.prod(shape)
    p_z = None if prior is None else PriorProgram(prior, dim)
    options: dict[str, Any] = {"read": read, "like": like, "latent_shape": shape, "prior": p_z}
    return GivenDecoder(check_count("num_given", num_given), decoder, p_x.to(like), dim, **options)
