"""The state of torch's global random generators: the noise of training and of `prepare`."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Generators:
    """The generators that draws on a device come from: the CPU's, and a card's own.

    Attributes:
        device: where the data are.
    """

    device: torch.device

    def state(self) -> dict[str, Tensor]:
        """Copies of their states, by the kind of device."""
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def put_back(self, states: dict[str, Tensor]) -> None:
        """Draw on from states that `state` gave; those of a card are left alone where there is none."""
        torch.set_rng_state(states["cpu"])
        if "cuda" in states and self.device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self.device)
