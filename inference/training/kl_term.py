"""How the KL term is weighed: E_q[log p(x|z)] − β · share(step) · Σ_j max(λ, KL_j)."""

from dataclasses import dataclass

from elbowroom.inference.training.argument_checks import (
    check_at_least_zero,
    check_integer,
    check_positive,
    check_registered,
)
from elbowroom.inference.training.schedule import KL_WEIGHTS, kl_weight


@dataclass(frozen=True, kw_only=True)
class KLTerm:
    """The arguments of `fit` by the same names.

    Attributes:
        beta: β, the weight after the warm-up (Higgins et al. 2017).
        kl_weight: a key of `KL_WEIGHTS`.
        warmup_epochs: how long that lasts; 0 is no warm-up of the linear weight, and all of training of the cyclical.
        num_cycles: of the cyclical weight.
        free_bits: λ in nats (Kingma et al. 2016); 0 is none.
    """

    beta: float = 1.0
    kl_weight: str = "linear"
    warmup_epochs: float = 0
    num_cycles: int = 4
    free_bits: float = 0.0

    def beta_at(self, step: int, steps_per_epoch: int, num_epochs: int) -> float:
        """The weight of the KL term at step 0, 1, …"""
        warmup_steps = self.warmup_ends(num_epochs) * steps_per_epoch
        return self.beta * kl_weight(step, warmup_steps, self.kl_weight, self.num_cycles)

    def warmup_ends(self, num_epochs: int) -> float:
        """After so many epochs the weight is β for good."""
        return num_epochs if self.kl_weight == "cyclical" and not self.warmup_epochs else self.warmup_epochs

    def unlike_elbo(self) -> dict[str, float | str]:
        """Those of the arguments by which the objective is another than the ELBO, with their values."""
        plain: dict[str, tuple[object, ...]] = {
            "beta": (1,),
            "kl_weight": ("linear", "constant"),
            "warmup_epochs": (0,),
            "free_bits": (0,),
        }
        return {name: getattr(self, name) for name, values in plain.items() if getattr(self, name) not in values}

    def check_kl_term(self) -> None:
        """Raise ValueError or TypeError naming the argument, what was got and what was expected."""
        check_positive("beta", self.beta)
        check_registered("kl_weight", self.kl_weight, KL_WEIGHTS)
        check_at_least_zero("warmup_epochs", self.warmup_epochs, " of epochs")
        check_integer("num_cycles", self.num_cycles, 1)
        check_at_least_zero("free_bits", self.free_bits, " of nats")
        if self.kl_weight == "constant" and self.warmup_epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs:g} is how long a weight rises, and kl_weight='constant' does not: "
                "use kl_weight='linear' or 'cyclical', or warmup_epochs=0"
            )
