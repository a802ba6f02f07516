"""Sequences of different lengths, a dense check of linear systems, and small programs of both."""

import torch
from torch import Tensor

from elbowroom.models import LinearDynamicalSystem
from elbowroom.networks import sequence_mask


def ragged(num_steps: int, num_values: int, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Zeros and ones `[B, T, P]` of these lengths, zero behind them, and the mask `[B, T]`."""
    mask = sequence_mask(torch.tensor(lengths), num_steps)
    x = (torch.randn(len(lengths), num_steps, num_values) > 0).to(torch.get_default_dtype())
    return x * mask.unsqueeze(-1), mask


def padded(x: Tensor, mask: Tensor, num_more: int, value: float) -> tuple[Tensor, Tensor]:
    """So many steps more, and `value` at all that are not there."""
    longer = torch.cat([x, x.new_zeros(len(x), num_more, x.shape[2])], 1)
    there = torch.cat([mask, mask.new_zeros(len(x), num_more)], 1)
    return longer.masked_fill(~there.unsqueeze(-1), value), there


def moved(model: torch.nn.Module, scale: float = 0.3) -> torch.nn.Module:
    """The model with every parameter moved at random, so that no term of a formula is zero or one by chance."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn_like(parameter)
    return model


def dense_log_prob(model: LinearDynamicalSystem, x: Tensor, mask: Tensor) -> Tensor:
    """log p of what is there of one sequence `[T, P]`, from the mean and the covariance of all of it."""
    a, b, q = model.transition.linear.weight, model.transition.linear.bias, model.transition.std
    weight, offset, size = model.emission.weight, model.emission.bias, model.latent_dim
    num_steps = len(x)
    mean, covariance = [x.new_zeros(size)], {(0, 0): torch.eye(size)}
    for t in range(1, num_steps):
        mean.append(a @ mean[-1] + b)
        for s in range(t):
            covariance[s, t] = covariance[s, t - 1] @ a.T
            covariance[t, s] = covariance[s, t].T
        covariance[t, t] = a @ covariance[t - 1, t - 1] @ a.T + q.square().diag()
    steps = mask.nonzero().flatten().tolist()
    of_z = torch.cat([torch.cat([covariance[s, t] for t in steps], 1) for s in steps])
    every = torch.block_diag(*[weight] * len(steps))
    of_x = every @ of_z @ every.T + model.sigma.square() * torch.eye(len(every))
    loc = torch.cat([weight @ mean[t] + offset for t in steps])
    return torch.distributions.MultivariateNormal(loc, of_x).log_prob(x[steps].flatten())
