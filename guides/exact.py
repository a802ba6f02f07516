"""The guide that is the model's exact posterior."""

from typing import Protocol

import pyro.distributions as dist
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_module
from elbowroom.guides.amortized import AmortizedGuide


class KnowsPosterior(Protocol):
    """A model whose p(z|x) is known in closed form."""

    def posterior(self, x: Tensor) -> dist.TorchDistribution:
        """p(z|x): batch shape `[B]`, event shape `[D]`."""


class ExactPosterior(AmortizedGuide):
    """q(z|x) = p(z|x) of a model that knows it: every importance weight then equals log p(x).

    It has no parameters of its own: it reads the model's at each call, and follows them while the model
    trains.

    Args:
        model: a model with a method `posterior(x)` returning p(z|x) with batch shape `[B]`, such as `PPCA`
            and `FactorAnalysis`.

    Raises:
        TypeError: if it has none.
    """

    @checked
    def __init__(self, model: KnowsPosterior) -> None:
        super().__init__()
        if not callable(getattr(check_module("model", model), "posterior", None)):
            raise TypeError(
                f"model: got {type(model).__name__}, which has no method posterior(x), expected a model with a "
                "closed-form posterior such as PPCA or FactorAnalysis; for other models use AmortizedNormal"
            )
        # In a tuple, so that the model's parameters do not become the guide's: they are the model's to train
        # and save.
        self._model = (model,)

    @property
    def model(self) -> KnowsPosterior:
        """The model whose posterior this is."""
        return self._model[0]

    def encode(self, x: Tensor) -> dist.TorchDistribution:
        """p(z|x) for data `x [B, P]` or `[B, ...]`: batch shape `[B]`, event shape `[D]`."""
        return self.model.posterior(x)
