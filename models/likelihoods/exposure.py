"""How large is each datum? Count likelihoods whose mean is that of a size.

Cells are sequenced to different depths and documents are of different lengths, which says nothing of what they are
about. With an exposure the decoder says means of a unit, and the datum's own size ℓ_b multiplies them:

    exposure="total"    E[x_bp | z_b] = ℓ_b · softmax(outputs(z_b))_p,    ℓ_b = Σ_p x_bp where nothing else is given
    exposure="given"    E[x_bp | z_b] = ℓ_b · exp(outputs(z_b))_p,        ℓ_b given: no scale is taken out

In the first the decoder says shares (what a softmax returns, or what goes into one), in the second rates of any sum. A
decoder that multiplies by the size itself takes it as an argument of its own, and wants no exposure here.

ℓ is a covariate: the number reported is log p(x | ℓ), normalised over x for each given ℓ, and comparable between models
that are given the same ℓ, not with models of x alone. It is the last argument of the program, `model(x, exposure)`, one
number a datum and not its logarithm; without it the model of shares takes the totals of x. Where data are drawn from
the model, as `calibrate` and `bidirectional` do, sizes must not follow what is drawn: give them then, `Target(model,
guide, x, x.sum(-1))`; what is drawn has totals that scatter about ℓ. Under a multinomial likelihood the total is fixed
by what is conditioned on, and nothing need be given.

For a Poisson the two differ by what the total says alone, whatever z is:

    log Poisson(x | ℓ π) = log Multinomial(x | ℓ, π) + log Poisson(ℓ | ℓ),    ℓ = Σ_p x_p
"""

from typing import Any

import torch
from torch import Tensor

from elbowroom.entrances.values import check_choice
from elbowroom.models.likelihoods.likelihood import Likelihood
from elbowroom.networks.outputs import Output, check_sums


def check_no_exposure(likelihood: Likelihood) -> None:
    """For models that do not read sizes off their data.

    Raises:
        ValueError: if the likelihood needs them.
    """
    if likelihood.needs_exposure:
        raise ValueError(
            "likelihood: exposure='total' and 'multinomial' are for models of x alone that read its totals, such as "
            "VAE; leave exposure out, or give the totals as a part of a context (ConditionalVAE)"
        )


class CountLikelihood(Likelihood):
    """A likelihood of counts with a mean for each entry, of the decoder alone or times the datum's size.

    Args:
        exposure: None; `"total"` for E[x_p] = ℓ softmax(outputs)_p; `"given"` for E[x_p] = ℓ exp(outputs)_p.
    """

    data = "counts"

    def __init__(self, exposure: str | None = None) -> None:
        super().__init__()
        self.exposure = None if exposure is None else check_choice("exposure", exposure, ("total", "given"))
        self.needs_exposure, self.has_own_sizes = exposure is not None, exposure == "total"
        if self.needs_exposure:  # torch's total_count says the mean by way of θ, which has no unit
            kept = {name: output for name, output in self.outputs.items() if not name.startswith("total_count")}
            as_shares = {name: _shares(name, output) for name, output in kept.items()}
            self.outputs = as_shares if exposure == "total" else kept

    def log_mean(self, output: Tensor, exposure: Tensor | None) -> Tensor:
        """log E[x|z], `[*batch, P]`, for sizes ℓ `[*batch]`; without them ℓ = 1, and the means are of a unit."""
        if not self.needs_exposure:
            return output
        of_unit = torch.log_softmax(output, -1) if self.exposure == "total" else output
        if exposure is None:
            return of_unit
        # An empty datum has no size: its mean is the smallest there is, and log p(0) = 0 as it should be.
        tiny = torch.finfo(output.dtype).tiny
        return of_unit + torch.where(exposure == 0, tiny, exposure).log().unsqueeze(-1)

    def check_own_mean(self, p_x: Any) -> None:
        """Raises ValueError if means are multiplied by sizes, where a decoder returns a distribution with its own."""
        if self.needs_exposure:
            raise ValueError(
                f"exposure: got {self.exposure!r}, but the decoder returned a {type(p_x).__name__}, which has its own "
                "mean; leave exposure out, and give the size to the decoder (num_given=1), or return the tensors"
            )


def log_of_mean(value: Tensor) -> Tensor:
    """The logarithm of a mean that may have underflowed to zero."""
    return value.clamp_min(torch.finfo(value.dtype).tiny).log()


def _shares(name: str, output: Output) -> Output:
    """The same, refused where means that are no logarithms do not sum to one."""
    if not name.startswith(("mean", "rate")):
        return output

    def read(argument: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        parameters = output.read(argument, *tensors)
        otherwise = "of rates with another sum, each per unit of a size, say exposure='given'"
        check_sums(argument, parameters[0], name, otherwise)
        return parameters

    return output._replace(read=read)
