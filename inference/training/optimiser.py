"""One optimiser over all parameters, as Pyro wants it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro.optim import PyroOptim
from torch import Tensor

from elbowroom.inference.programs.private_torch import multiply_each_in_place
from elbowroom.inference.training.nonfinite import NonFiniteStep

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "SGD": torch.optim.SGD,
}
"""Name -> constructor(parameters, lr, fused, and weight_decay where it is not its own)."""


class JointOptimiser(PyroOptim):
    """An optimiser of torch over all parameters at once, in a stable order, with joint gradient-norm clipping.

    Pyro's own wrapper makes one torch optimiser for each parameter: clipping then acts on each by itself, its state
    needs pickle, and its order is that of a `set`. SVI calls this object after its backward pass; what it passes is
    ignored, since the parameters are known.

    Args:
        parameters: name -> leaf tensor.
        learning_rate: of the next step; change the attribute at will.
        clip_norm: the gradient of the mean loss is scaled down to this norm where it is longer.
        name: a key of `OPTIMIZERS`.
        weight_decay: its argument of that name; None leaves it at its own (.01 of AdamW, 0 of the others).

    Attributes:
        divisor: the gradients are divided by it (the number of data in the minibatch).
        gradient_norm: of the last step, after division and before clipping.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        learning_rate: float,
        clip_norm: float | None = None,
        name: str = "Adam",
        weight_decay: float | None = None,
    ) -> None:
        super().__init__(OPTIMIZERS[name], {"lr": learning_rate})
        self.names, self.tensors = list(parameters), list(parameters.values())
        self.learning_rate, self.clip_norm = learning_rate, clip_norm
        self.divisor, self.gradient_norm = 1.0, math.nan
        fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in self.tensors)
        given = {} if weight_decay is None else {"weight_decay": weight_decay}
        self.torch = OPTIMIZERS[name](self.tensors, lr=learning_rate, fused=fused, **given)

    def __call__(self, params: Any = None, *args: Any, **kwargs: Any) -> None:
        """Take a step along the gradients that backward left.

        Raises:
            NonFiniteStep: if the gradient norm is not finite; no parameter is changed.
        """
        try:
            gradients = self.gradients()
            self.gradient_norm = norm = self._norm(gradients)
            if not math.isfinite(norm):
                raise NonFiniteStep("gradient")
            factor = min(1.0, self.clip_norm / norm) if self.clip_norm is not None and norm > 0 else 1.0
            if factor != self.divisor:
                multiply_each_in_place(gradients, factor / self.divisor)
            self.torch.param_groups[0]["lr"] = self.learning_rate
            self.torch.step()
        finally:
            self.clear()

    def gradients(self) -> list[Tensor]:
        """The gradients that backward left, in the order of the parameters; a parameter without one is passed over."""
        return [p.grad for p in self.tensors if p.grad is not None]

    def is_finite(self) -> bool:
        """Whether a step could be taken along the present gradients."""
        return math.isfinite(self._norm(self.gradients()))

    def clear(self) -> None:
        """Forget the gradients. None, not zero: a parameter without a gradient is then left alone."""
        for p in self.tensors:
            p.grad = None

    def state_tensors(self) -> dict[str, Tensor]:
        """What it remembers, `parameter/moment` -> a copy; nothing of SGD."""
        return {
            f"{name}/{moment}": value.detach().clone().cpu()
            for name, tensor in zip(self.names, self.tensors, strict=True)
            for moment, value in self.torch.state.get(tensor, {}).items()
        }

    def load_state_tensors(self, values: Mapping[str, Tensor]) -> None:
        """Put back what `state_tensors` gave."""
        index = {name: i for i, name in enumerate(self.names)}
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in values.items():
            name, _, moment = key.rpartition("/")
            state.setdefault(index[name], {})[moment] = value
        self.torch.load_state_dict({"state": state, "param_groups": self.torch.state_dict()["param_groups"]})

    def _norm(self, gradients: list[Tensor]) -> float:
        return torch.nn.utils.get_total_norm(gradients).item() / self.divisor
