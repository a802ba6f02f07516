"""Conditional flows and posteriors of simulation-based inference: q(z|x) of zuko or sbi, with one's own log p(x, z)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from elbowroom.entrances import checked
from elbowroom.inference import Target

Function = Callable[..., Tensor]


@checked
def from_posterior(
    posterior: Any,
    log_joint: Callable[..., Tensor | tuple[Tensor, Tensor]],
    *data: Tensor,
    sample_prior: Callable[..., Tensor] | None = None,
    support: Any = None,
) -> Target:
    """A target whose q(z|x) is a trained network of densities, and whose log p(x, z) is a function.

        target = from_posterior(flow, lambda z, x: (log_prior(z), log_likelihood(z, x)), x)

    A simulator alone is not enough: log p(x, z) has to be computed. Of an sbi `DirectPosterior` the density that was
    trained is taken as it is, without rejecting draws outside the prior's support and without the factor that corrects
    for these: its draws there have weight zero, if `log_joint` returns −∞. Noise that a flow of nflows starts from is
    drawn here, in a shape that says which datum it is for; zuko's flows draw theirs themselves.

    Nothing is copied or changed; put networks in evaluation mode. Neither library is imported here, but loading zuko
    (which sbi does) switches torch's checks of arguments off for the whole process. Tried with sbi 0.27 and zuko 1.6.

    Args:
        posterior: a `DirectPosterior` of sbi or its `posterior_estimator`; or what returns a distribution over z, of
            batch shape `[B]` and event shape `[D]`, when it is called with the data: a conditional flow of zuko, or any
            module or function that does.
        log_joint, sample_prior, support: as of `Target.from_functions`.
        *data: tensors with a row for each datum, `[B, ...]` each: what the posterior is given; for sbi one.

    Raises:
        TypeError: if it is none of these, or there are no data.
        ValueError: if the distribution has other shapes.
        ProgramError: as of `Target.from_functions`.
    """
    if not data:
        raise TypeError("data: got none; give what the posterior is conditioned on, a row for each datum")
    sample, log_q = _functions(posterior)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        dim = sample(1, *data).shape[-1]
    return Target.from_functions(sample, log_q, log_joint, *data, dim=dim, sample_prior=sample_prior, support=support)


def _functions(posterior: Any) -> tuple[Function, Function]:
    """(S, *data) -> z `[S, B, D]`, and (z, *data) -> log q(z|x) `[S, B]`."""
    estimator = getattr(posterior, "posterior_estimator", posterior)
    if hasattr(estimator, "condition_shape") and hasattr(estimator, "log_prob"):
        return _of_estimator(estimator)
    if not callable(posterior) or isinstance(posterior, type) or hasattr(posterior, "potential_fn"):
        raise TypeError(
            f"posterior: got {type(posterior).__name__}, expected a DirectPosterior of sbi, or what returns a "
            "distribution over z when it is called with the data; what draws by chains or by a differential equation "
            "has no density to weigh with"
        )

    def sample(num_samples: int, *data: Tensor) -> Tensor:
        return _distribution(posterior, data).sample(torch.Size((num_samples,)))

    def log_q(z: Tensor, *data: Tensor) -> Tensor:
        log_density: Tensor = _distribution(posterior, data).log_prob(z)
        return log_density

    return sample, log_q


def _distribution(posterior: Any, data: tuple[Tensor, ...]) -> Distribution:
    """q(z|x), batch shape `[B]`, event shape `[D]`."""
    q = posterior(*data)
    if not isinstance(q, Distribution):
        raise TypeError(f"posterior: returned a {type(q).__name__}, expected a distribution over z, batch shape [B]")
    if q.batch_shape != data[0].shape[:1] or len(q.event_shape) != 1:
        raise ValueError(
            f"posterior: returned a {type(q).__name__} of batch shape {tuple(q.batch_shape)} and event shape "
            f"{tuple(q.event_shape)}, expected ({len(data[0])},) and (D,); torch.distributions.Independent makes one "
            "event of several entries"
        )
    return q


def _of_estimator(estimator: Any) -> tuple[Function, Function]:
    """Those of a conditional density of sbi, which takes x `[B, ...]`."""
    transform: Any = getattr(getattr(estimator, "net", None), "_transform", None)
    (dim,) = estimator.input_shape

    def by_noise(num_samples: int, x: Tensor) -> Tensor:
        noise = torch.randn(num_samples, len(x), dim, dtype=x.dtype, device=x.device)
        context = estimator.embedding_net(x).expand(num_samples, len(x), -1)
        z: Tensor = transform.inverse(noise.flatten(0, 1), context=context.flatten(0, 1))[0]
        return z.view(num_samples, len(x), dim)

    def by_estimator(num_samples: int, x: Tensor) -> Tensor:
        z: Tensor = estimator.sample(torch.Size((num_samples,)), condition=x)
        return z

    def log_q(z: Tensor, x: Tensor) -> Tensor:
        log_density: Tensor = estimator.log_prob(z, condition=x)
        return log_density

    return by_noise if isinstance(transform, nn.Module) else by_estimator, log_q
