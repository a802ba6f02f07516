"""A generator and a discriminator, trained in turns against each other.

    D:  E softplus(−D(x)) + E softplus(D(G(z))) + ½ r E |∇D(x)|²    over data x
    G:  E softplus(−D(G(z)))

the non-saturating losses of Goodfellow et al. (2014) with the penalty R1 of Mescheder et al. (2018), equation 9.
Without it D grows ever surer of data and draws that do not overlap, and the two circle about each other.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from elbowroom.entrances.values import check_above, check_at_least, check_size
from elbowroom.inference.progress import progress_bar


class TrainingOptions(NamedTuple):
    """How long, how fast, and how smooth.

    Attributes:
        num_epochs: passes over the data.
        batch_size: data of a step.
        learning_rate: of Adam with β = (0, 0.99), for both.
        penalty: r.
        average_over: steps that G's running mean of parameters looks back, fewer at the beginning.
        progress: show a progress bar if it takes longer than two seconds.
    """

    num_epochs: int
    batch_size: int
    learning_rate: float
    penalty: float
    average_over: int
    progress: bool


def train(network: nn.Module, discriminator: nn.Module, x: Tensor, options: TrainingOptions, seed: int) -> None:
    """Train D in place; G becomes the running mean of what is trained, which does not circle.

    Args:
        network: G, whose first layer says how wide z is.
        discriminator: D.
        x: data `[N, P]`, as G draws them.
        options: see there.
        seed: of the order of the data, and of z.

    Raises:
        TypeError, ValueError: if an option is out of range.
        FloatingPointError: if a loss is not finite.
    """
    num_epochs, batch_size = check_size("num_epochs", options.num_epochs), check_size("batch_size", options.batch_size)
    rate, average_over = check_above("learning_rate", options.learning_rate, 0.0), options.average_over
    check_at_least("penalty", options.penalty, 0.0), check_size("average_over", average_over)
    trained, steps, latent_dim = copy.deepcopy(network), 0, next(network.parameters()).shape[-1]
    of_g, of_d = (torch.optim.Adam(part.parameters(), lr=rate, betas=(0.0, 0.99)) for part in (trained, discriminator))
    generator = torch.Generator(x.device).manual_seed(seed)
    with progress_bar(num_epochs, "training", "epoch", options.progress) as tick:
        for _ in range(num_epochs):
            for rows in torch.randperm(len(x), generator=generator, device=x.device).split(batch_size):
                z = torch.randn(2, len(rows), latent_dim, generator=generator, dtype=x.dtype, device=x.device)
                _step(of_d, discriminator_loss(discriminator, x[rows], trained(z[0]).detach(), options.penalty), rate)
                _step(of_g, softplus(-discriminator(trained(z[1]))).mean(), rate)
                steps += 1
                with torch.no_grad():
                    for mean, new in zip(network.parameters(), trained.parameters(), strict=True):
                        mean.lerp_(new, 1 / min(average_over, 1 + steps / 10))
            tick(1)


def discriminator_loss(discriminator: nn.Module, real: Tensor, drawn: Tensor, penalty: float) -> Tensor:
    """The loss of D at data and draws, `[b, P]` each: a scalar."""
    real = real.detach().requires_grad_()
    said = discriminator(real)
    (slope,) = torch.autograd.grad(said.sum(), real, create_graph=True)
    loss: Tensor = softplus(-said).mean() + softplus(discriminator(drawn)).mean()
    return loss + 0.5 * penalty * slope.square().sum(-1).mean()


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    if not bool(loss.isfinite()):
        raise FloatingPointError(f"the loss is {loss.item()}: try a learning_rate below {rate:g}")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
