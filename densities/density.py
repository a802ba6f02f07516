"""What a density can be asked, whatever it does about its normalising constant."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import Bound


class Cost(NamedTuple):
    """Passes through the network that one datum takes.

    Attributes:
        evaluate: of log p(x).
        sample: of a draw of x.
    """

    evaluate: float
    sample: float


class Density(nn.Module, ABC):
    """A distribution over vectors of P whole numbers 0 … K − 1, fitted to data.

    A family says with its class what stands in the table that compares all of them:

    Attributes:
        bound: what `log_prob` bounds in expectation: `"exact"`, `"lower"`, or `"none"`.
        avoids: how it does without Z = Σ_x f(x), in a few words.
        cannot: what it cannot do, in a few words.
        network: whose passes `cost` counts; of a list of networks those of each.

    Args:
        data_dim: P.
        levels: K, at least 2.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    bound: ClassVar[Bound]
    avoids: ClassVar[str]
    cannot: ClassVar[str]
    network: nn.Module

    @checked
    def __init__(self, data_dim: int, levels: int = 2) -> None:
        super().__init__()
        self.data_dim, self.levels = check_size("data_dim", data_dim), check_size("levels", levels)
        if levels < 2:
            raise ValueError(f"levels: got {levels}, expected at least 2: the values are 0 … levels − 1")

    @abstractmethod
    def fit(self, x: Tensor, validation: Tensor | None = None, *, seed: int = 0, **options: Any) -> Self:
        """Fit to data `[N, P]`, keep the parameters that were best on validation data if there are any; returns itself.

        Further options are the family's own: epochs, batches, rates. It begins at the parameters that are there; from
        the same ones the same seed gives the same, and the process's generator is left as it was.

        Raises:
            TypeError, ValueError: if the data are not `[N, P]` whole numbers 0 … K − 1, or an option is out of range.
        """

    @abstractmethod
    def log_prob(self, x: Tensor, *, seed: int = 0) -> Estimate:
        """log p(x) of data `[B, P]` in nats: `bound` says what the estimate bounds, its stderr how it is known.

        What a datum is told does not depend on which others share the call: its noise is drawn for the datum.

        Raises:
            TypeError, ValueError: if the data are not `[B, P]` whole numbers 0 … K − 1.
        """

    @abstractmethod
    def sample(self, num_samples: int, *, seed: int = 0) -> Tensor:
        """Draws of x, `[num_samples, P]`, whole numbers 0 … K − 1."""

    @abstractmethod
    def cost(self) -> Cost:
        """Passes through the network for one datum."""

    @property
    def num_parameters(self) -> int:
        """How many numbers were fitted."""
        return sum(p.numel() for p in self.parameters())

    def checked(self, name: str, x: Tensor) -> Tensor:
        """The data, in this module's dtype and on its device.

        Raises:
            TypeError: if it is no tensor.
            ValueError: if it is not `[B, P]`, has no rows, or values that are no whole numbers 0 … K − 1.
        """
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: got {type(x).__name__}, expected a tensor [B, {self.data_dim}]")
        if x.dim() != 2 or x.shape[1] != self.data_dim or not len(x):
            raise ValueError(f"{name}: got shape {tuple(x.shape)}, expected [B, {self.data_dim}] with B of at least 1")
        wrong = ((x != x.round()) | (x < 0) | (x > self.levels - 1)).any(1)
        if bool(wrong.any()):
            rows = wrong.nonzero().flatten().tolist()
            shown = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
            raise ValueError(
                f"{name}: expected whole numbers 0 … {self.levels - 1}, got others in {len(rows)} rows ({shown}); "
                f"grey values in [0, 1] of {self.levels} levels are (x * {self.levels - 1}).round()"
            )
        reference = next(self.parameters(), torch.empty(0))
        return x.to(reference)
