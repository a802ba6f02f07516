"""A model, a guide and data together with the exact answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from elbowroom.inference.target import Target

Quality = Literal["exact", "good", "mediocre", "bad"]


@dataclass(frozen=True, eq=False)
class Reference:
    """A problem with known evidence, in float64 whatever the default dtype is.

    Attributes:
        name: its key in the registry.
        model, guide: Pyro programs, called with `args`.
        args: data first.
        plate: name of the data plate; None where the whole program is one datum.
        log_evidence: log p(x), `[B]`, nats.
        accuracy: numerical error of `log_evidence`, nats.
        mean, sd: posterior moments in the order of `Target.latent_names`, `[B, N]`; None where not known.
        gap: log p(x) − ELBO of this guide, `[B]`, nats; None where not known in closed form.
        guide_quality: `"exact"`: the guide is the posterior. `"good"`: importance sampling works (tail index below
            0.5). `"mediocre"`: it is inefficient, or its error bar is doubtful. `"bad"`: it fails, loudly by a tail
            index above 0.7 or, where the guide misses a mode, without a sign in the weights; see `notes`.
        multimodal: whether a posterior has more than one mode.
        provenance: where the numbers come from.
        notes: what to know of this problem.
    """

    name: str
    model: Callable[..., Any]
    guide: Callable[..., Any]
    args: tuple[Tensor, ...]
    log_evidence: Tensor
    provenance: str
    guide_quality: Quality
    plate: str | None = "data"
    accuracy: float = 1e-10
    mean: Tensor | None = None
    sd: Tensor | None = None
    gap: Tensor | None = None
    multimodal: bool = False
    notes: str = ""

    def __len__(self) -> int:
        return len(self.log_evidence)

    def target(self, **options: Any) -> Target:
        """The triple as a `Target`; `options` are passed on."""
        return Target(self.model, self.guide, *self.args, plate=self.plate, **options)
