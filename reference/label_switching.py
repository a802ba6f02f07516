"""Label switching: the means of a mixture of two normals may be exchanged, and a guide names them one way."""

from collections.abc import Callable
from functools import partial
from itertools import product

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import linear_gaussian, mixture_moments, real
from elbowroom.reference.reference import Reference

SPREAD, NOISE = 3.0, 0.7
POINTS = real(-2.1, -1.7, -1.4, -0.9, 1.2, 1.6, 2.4, 2.9)


def label_switching(enumerated: bool) -> Reference:
    """m_1, m_2 ~ N(0, 3²), y_i | m ~ ½ N(m_1, 0.7²) + ½ N(m_2, 0.7²), eight points, one datum.

    Given who belongs to whom the model is linear and Gaussian: p(y) = 2⁻⁸ Σ_c N(y; 0, 9 A_c A_cᵀ + 0.7² I) over all
    2⁸ assignments c, A_c their indicators. `enumerated`: each point's component is a latent site that the guide leaves
    to be summed out; otherwise the likelihood is the mixture itself.
    """
    size = len(POINTS)
    first = real(*product((1.0, 0.0), repeat=size))  # [256, n]
    given = linear_gaussian(
        POINTS.expand(len(first), size),
        torch.stack([first, 1 - first], -1),
        torch.full((size,), NOISE**2, dtype=torch.float64),
        SPREAD**2 * torch.eye(2, dtype=torch.float64),
    )
    log_joint = given.log_evidence - size * real(2.0).log()
    mean, sd = mixture_moments(log_joint, given.mean.T, given.sd.square().T)

    def means(y: Tensor) -> Tensor:
        return pyro.sample("m", dist.Normal(y.new_zeros(2), SPREAD).to_event(1))

    def model(y: Tensor) -> None:
        m = means(y)
        if enumerated:
            with pyro.plate("points", len(y)):
                k = pyro.sample("k", dist.Categorical(y.new_full((2,), 0.5)))
                pyro.sample("y", dist.Normal(torch.where(k == 0, m[..., 0], m[..., 1]), NOISE), obs=y)
        else:
            each = dist.Normal(m.unsqueeze(-2).expand(*m.shape[:-1], len(y), 2), NOISE)
            mixed = dist.MixtureSameFamily(dist.Categorical(y.new_full((2,), 0.5)), each)
            pyro.sample("y", mixed.to_event(1), obs=y)

    def guide(y: Tensor) -> None:
        scale = NOISE / (len(y) / 2) ** 0.5
        low, high = y[: len(y) // 2].mean(), y[len(y) // 2 :].mean()
        pyro.sample("m", dist.Normal(torch.stack([low, high]), 1.1 * scale).to_event(1))

    return Reference(
        name="label-switching-enumerated" if enumerated else "label-switching",
        model=model,
        guide=guide,
        args=(POINTS,),
        plate=None,
        log_evidence=log_joint.logsumexp(0, keepdim=True),
        mean=mean.unsqueeze(0),
        sd=sd.unsqueeze(0),
        guide_quality="bad",
        multimodal=True,
        accuracy=1e-12,
        provenance="closed form: a sum over 256 assignments, each linear Gaussian",
        notes="the guide calls the lower mean the first: half of the mass, log 2, is missing without a sign",
    )


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "label-switching": partial(label_switching, False),
    "label-switching-enumerated": partial(label_switching, True),
}
