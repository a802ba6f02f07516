"""How large is each datum? Count likelihoods whose mean is a share of the datum's total.

Cells are sequenced to different depths and documents are of different lengths, which says nothing of what they are
about. With `exposure="total"` the decoder says shares, and the mean is the share of the datum's own size ℓ_b:

    E[x_bp | z_b] = ℓ_b · softmax(outputs(z_b))_p,    ℓ_b = Σ_p x_bp (the library size, the number of words)

ℓ is a covariate: the number reported is log p(x | ℓ), normalised over x for each given ℓ, and comparable between models
that are given the same ℓ, not with models of x alone. It is an argument of the program, `model(x, exposure)`; without
it the model takes the totals of x. Where data are drawn from the model, as `calibrate` and `bidirectional` do, sizes
must not follow what is drawn: give them then, `Target(model, guide, x, x.sum(-1))`; what is drawn has totals that
scatter about ℓ. Under a multinomial likelihood the total is fixed by what is conditioned on, and nothing need be given.

For a Poisson the two differ by what the total says alone, whatever z is:

    log Poisson(x | ℓ π) = log Multinomial(x | ℓ, π) + log Poisson(ℓ | ℓ),    ℓ = Σ_p x_p
"""

import torch
from torch import Tensor

from elbowroom.models.likelihoods.likelihood import Likelihood
from elbowroom.networks.checks import check_choice


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
    """A likelihood of counts with a mean for each entry, of the decoder alone or a share of the datum's size.

    Args:
        exposure: None, or `"total"` for E[x_p] = ℓ softmax(outputs)_p.
    """

    data = "counts"

    def __init__(self, exposure: str | None = None) -> None:
        super().__init__()
        self.needs_exposure = exposure is not None and check_choice("exposure", exposure, ("total",)) == "total"

    def log_mean(self, output: Tensor, exposure: Tensor | None) -> Tensor:
        """log E[x|z], `[*batch, P]`, for sizes ℓ `[*batch]`; without them ℓ = 1, and the means are shares."""
        if not self.needs_exposure:
            return output
        shares = torch.log_softmax(output, -1)
        if exposure is None:
            return shares
        # An empty datum has no size: its mean is the smallest there is, and log p(0) = 0 as it should be.
        tiny = torch.finfo(output.dtype).tiny
        return shares + torch.where(exposure == 0, tiny, exposure).log().unsqueeze(-1)
