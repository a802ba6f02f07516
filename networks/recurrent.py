"""A recurrent network that reads sequences backwards in time: what each step and all after it say."""

import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size


class BackwardGRU(nn.Module):
    """Features h_t of x_t, x_{t+1}, …, x_T by a gated recurrent unit that runs from the last step to the first.

        h_t = GRU(x_t, h_{t+1})    where step t is there,    h_t = h_{t+1}    where it is padding,    h_{T+1} learned

        r = σ(W_r x + U_r h),  u = σ(W_u x + U_u h),  n = tanh(W_n x + r ⊙ U_n h),  GRU(x, h) = (1 − u) ⊙ n + u ⊙ h

    (biases left out; Cho et al. 2014, in the form of `torch.nn.GRU`). A padded step passes the state on, so the
    features of a sequence are the same however far it is padded, and whatever the padding holds, NaN included. The
    posterior of a state-space model is p(z_t | z_{t−1}, x_t, …, x_T): that is what its guide needs of the data
    (Krishnan et al. 2017, "Structured inference networks for nonlinear state space models", section 4).

    It takes any number of leading dimensions and can be vmapped.

    Args:
        num_inputs: P, values of a step.
        num_features: H.

    Raises:
        TypeError, ValueError: if a size is out of range.
    """

    @checked
    def __init__(self, num_inputs: int, num_features: int) -> None:
        super().__init__()
        self.num_inputs = check_size("num_inputs", num_inputs)
        self.num_features = check_size("num_features", num_features)
        self.of_inputs = nn.Linear(self.num_inputs, 3 * self.num_features)
        self.of_state = nn.Linear(self.num_features, 3 * self.num_features)
        self.last = nn.Parameter(torch.zeros(self.num_features))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The features of every step, `[*batch, T, H]`; at padding behind a sequence's end they are h_{T+1}.

        Args:
            x: sequences, `[*batch, T, P]`.
            mask: which steps are there, `[*batch, T]`, as booleans or zeros and ones; by default all. Those that are
                not may be anywhere: a gap is passed over.

        Raises:
            ValueError: if a shape is another.
        """
        if x.ndim < 2 or x.shape[-1] != self.num_inputs:
            raise ValueError(f"x: got shape {tuple(x.shape)}, expected [..., T, {self.num_inputs}]")
        there = _there(x, mask)  # [*batch, T, 1]
        inputs = self.of_inputs(torch.where(there, x, 0.0))  # [*batch, T, 3 H]
        state = self.last.expand(*x.shape[:-2], self.num_features)
        features = []
        for t in reversed(range(x.shape[-2])):
            state = torch.where(there[..., t, :], self._next(inputs[..., t, :], state), state)
            features.append(state)
        return torch.stack(features[::-1], dim=-2)

    def _next(self, inputs: Tensor, state: Tensor) -> Tensor:
        """GRU(x, h) from W x and h, `[*batch, H]`."""
        (r, u, n), (of_r, of_u, of_n) = inputs.chunk(3, -1), self.of_state(state).chunk(3, -1)
        update = torch.sigmoid(u + of_u)
        return torch.lerp(torch.tanh(n + torch.sigmoid(r + of_r) * of_n), state, update)


def sequence_mask(lengths: Tensor, num_steps: int) -> Tensor:
    """Which steps are within sequences of these lengths: `lengths [*batch]` → booleans `[*batch, num_steps]`."""
    return torch.arange(num_steps, device=lengths.device) < lengths[..., None]


def _there(x: Tensor, mask: Tensor | None) -> Tensor:
    """The mask as booleans `[*batch, T, 1]`."""
    if mask is None:
        return torch.ones(x.shape[-2], 1, dtype=torch.bool, device=x.device)
    if mask.shape != x.shape[:-1]:
        raise ValueError(f"mask: got shape {tuple(mask.shape)}, expected {tuple(x.shape[:-1])}, the steps of x")
    return mask.bool()[..., None]
