"""Hidden discrete states of which some are absent or known: sequences of several lengths, labels observed in part."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, mixture_moments, real
from elbowroom.reference.reference import Reference

TRANSITION = real([0.9, 0.1], [0.3, 0.7])  # from row to column; the state before the first is 0
SHIFT = real(-0.7, 0.8)
NOISE = 0.8
WEIGHTS, LOCS, SCALES = real(0.25, 0.45, 0.3), real(-2.0, 0.5, 3.0), real(0.6, 1.0, 0.8)


def ragged_hmm() -> Reference:
    """z ~ N(0, 1), s_t | s_{t−1} ~ P, y_t | s_t, z ~ N(z + a[s_t], 0.8²), for t up to each sequence's own length.

    Steps beyond the length are masked in the program and absent from p(y): a masked state is summed over with its own
    normalised probabilities, which add up to one. p(y | z) by the forward algorithm over the steps that exist, z by the
    trapezoidal rule with mesh 0.01 over ±10.
    """
    y = real([0.4, -1.2, 1.9, 2.6], [1.1, 1.4, 0.2, 0.0], [-0.8, 0.3, 0.0, 0.0], [2.2, 0.0, 0.0, 0.0])
    lengths = torch.tensor([4, 3, 2, 1])
    z = torch.linspace(-10.0, 10.0, 2001, dtype=torch.float64)
    log_joint = log_normal(z, 0.0, 1.0).unsqueeze(1) + _forward(y, lengths, z)
    mean, sd = _moments(log_joint, z)

    def model(y: Tensor, lengths: Tensor) -> None:
        transition, shift = TRANSITION.to(y), SHIFT.to(y)
        with pyro.plate("data", len(y)):
            z = pyro.sample("z", dist.Normal(y.new_zeros(()), 1.0))
            s = torch.zeros((), dtype=torch.long)
            for t in pyro.markov(range(y.shape[1])):
                there = t < lengths
                state = dist.Categorical(transition[s]).mask(there)
                s = pyro.sample(f"s_{t}", state, infer={"enumerate": "parallel"})
                pyro.sample(f"y_{t}", dist.Normal(z + shift[s], NOISE).mask(there), obs=y[:, t])

    def guide(y: Tensor, lengths: Tensor) -> None:
        coarse = torch.linspace(-8.0, 8.0, 161, dtype=y.dtype)
        mean, sd = _moments(log_normal(coarse, 0.0, 1.0).unsqueeze(1) + _forward(y, lengths, coarse), coarse)
        with pyro.plate("data", len(y)):
            pyro.sample("z", dist.Normal(mean, 1.15 * sd))

    return Reference(
        name="ragged-hmm",
        model=model,
        guide=guide,
        args=(y, lengths),
        log_evidence=log_joint.logsumexp(0) + real(0.01).log(),
        mean=mean.unsqueeze(1),
        sd=sd.unsqueeze(1),
        guide_quality="good",
        accuracy=1e-10,
        provenance="the forward algorithm over the steps that exist, z by the trapezoidal rule",
        notes="one normal, 1.15 times as wide, in the place of a mixture of them",
    )


def partly_observed_labels() -> Reference:
    """k ~ Categorical(π), known for some data, z | k ~ N(μ_k, τ_k²), x | z ~ N(z, 1).

    With the label p(x, k) = π_k N(x; μ_k, τ_k² + 1); without it the sum over k. The guide is the posterior.
    """
    x = real(-1.5, 0.2, 2.4, 0.9, 3.8, -0.7)
    label = torch.tensor([0, 0, 2, 1, 0, 1])
    known = torch.tensor([True, False, True, True, False, False])

    def posterior(x: Tensor, label: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unnormalised log weights, means and variances of three normals, `[B, 3]` each."""
        prior, marginal = SCALES.square(), SCALES.square() + 1
        log_weight = WEIGHTS.log() + log_normal(x.unsqueeze(1), LOCS, marginal)
        possible = ~known.unsqueeze(1) | (label.unsqueeze(1) == torch.arange(3))
        mean = (prior * x.unsqueeze(1) + LOCS) / marginal
        return log_weight.masked_fill(~possible, -torch.inf), mean, (prior / marginal).expand_as(mean)

    def model(x: Tensor, label: Tensor, known: torch.BoolTensor) -> None:
        with pyro.plate("data", len(x)):
            which = dist.Categorical(WEIGHTS)
            k = pyro.sample("k", which, obs=label, obs_mask=known, infer={"enumerate": "parallel"})
            z = pyro.sample("z", dist.Normal(LOCS[k], SCALES[k]))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor, label: Tensor, known: Tensor) -> None:
        log_weight, means, variances = posterior(x, label, known)
        with pyro.plate("data", len(x)):
            which = dist.Categorical(probs=log_weight.softmax(-1))
            pyro.sample("z", dist.MixtureSameFamily(which, dist.Normal(means, variances.sqrt())))

    log_weight, means, variances = posterior(x, label, known)
    mean, sd = mixture_moments(log_weight, means, variances)
    return Reference(
        name="partly-observed-labels",
        model=model,
        guide=guide,
        args=(x, label, known),
        log_evidence=log_weight.logsumexp(1),
        mean=mean.unsqueeze(1),
        sd=sd.unsqueeze(1),
        gap=torch.zeros_like(x),
        guide_quality="exact",
        multimodal=True,
        accuracy=1e-12,
        provenance="closed form: π_k N(x; μ_k, τ_k² + 1), summed over k where the label is not known",
    )


def _forward(y: Tensor, lengths: Tensor, z: Tensor) -> Tensor:
    """log p(y | z) by the forward algorithm over the steps that exist, `[Z, B]`."""
    state = torch.tensor([0.0, -torch.inf], dtype=torch.float64).to(y).expand(len(z), len(y), 2)
    shift, log_transition = SHIFT.to(y), TRANSITION.to(y).log()
    for t in range(y.shape[1]):
        emission = log_normal(y[:, t].unsqueeze(-1), z.reshape(-1, 1, 1) + shift, NOISE**2)
        step = (state.unsqueeze(-1) + log_transition).logsumexp(-2) + emission
        state = torch.where((t < lengths).unsqueeze(-1), step, state)
    return state.logsumexp(-1)


def _moments(log_joint: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    weight, points = log_joint.softmax(0), z.unsqueeze(1)
    mean = (weight * points).sum(0)
    return mean, (weight * (points - mean).square()).sum(0).sqrt()


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "ragged-hmm": ragged_hmm,
    "partly-observed-labels": partly_observed_labels,
}
