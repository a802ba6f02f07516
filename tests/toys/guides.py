"""Pyro's ready-made guides on conjugate models whose log p(x) is known: one datum, or data in a plate."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.contrib.easyguide import EasyGuide
from pyro.distributions import transforms
from pyro.infer import autoguide
from pyro.infer.autoguide.initialization import init_to_value
from torch import Tensor

TIMES = (-1.0, 0.0, 0.5, 1.5)
X = (0.3, 0.9, 0.4, 1.6)

Program = Callable[..., Any]


def line(x: Tensor) -> None:
    """An intercept and a slope of four points: one datum."""
    a = pyro.sample("a", dist.Normal(0.0, 1.0))
    b = pyro.sample("b", dist.Normal(0.5 * a, 1.0))
    with pyro.plate("rows", len(TIMES)):
        mean = a.unsqueeze(-1) + b.unsqueeze(-1) * torch.tensor(TIMES) if a.dim() else a + b * torch.tensor(TIMES)
        pyro.sample("x", dist.Normal(mean, 1.0), obs=x)


def points(x: Tensor) -> None:
    """A latent for each datum."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def choices(x: Tensor) -> None:
    """A discrete latent and nothing else, in the form that AutoDiscreteParallel takes."""
    k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])), infer={"enumerate": "parallel"})
    with pyro.plate("rows", len(TIMES)):
        pyro.sample("x", dist.Normal(torch.tensor([-0.5, 0.5])[k], 1.0), obs=x)


def exact_line(x: Tensor) -> Tensor:
    mix = torch.tensor([[1.0, 0.0], [0.5, 1.0]])
    design = torch.stack([torch.ones(4), torch.tensor(TIMES)], 1) @ mix
    return dist.MultivariateNormal(torch.zeros(4), design @ design.T + torch.eye(4)).log_prob(x).reshape(1)


def exact_points(x: Tensor) -> Tensor:
    return dist.Normal(0.0, 2**0.5).log_prob(x)


def exact_choices(x: Tensor) -> Tensor:
    likelihood = dist.Normal(torch.tensor([[-0.5], [0.5]]), 1.0).log_prob(x).sum(1)
    return (torch.tensor([0.3, 0.7]).log() + likelihood).logsumexp(0).reshape(1)


def _started(kind: Any, **options: Any) -> Callable[[Program, Tensor], Any]:
    """A guide that begins near the posterior, so that its weights need no training."""
    return lambda model, x: kind(model, **_near(model, x), **options)


def _near(model: Program, x: Tensor) -> dict[str, Any]:
    values = {"z": x / 2} if model is points else {"a": torch.tensor(0.57), "b": torch.tensor(0.45)}
    return {"init_loc_fn": init_to_value(values=values), "init_scale": 0.65}


def _laplace(model: Program, x: Tensor) -> Any:
    guide = autoguide.AutoLaplaceApproximation(model, init_loc_fn=_near(model, x)["init_loc_fn"])
    guide(x)
    return guide


def _list(second: Any) -> Callable[[Program, Tensor], Any]:
    def make(model: Program, x: Tensor) -> Any:
        guide, near = autoguide.AutoGuideList(model), _near(model, x)
        parts = [second] if model is points else [autoguide.AutoNormal, second]
        for kind, others in zip(parts, ("b", "a"), strict=False):
            options = {} if kind is autoguide.AutoDelta else near
            guide.append(kind(poutine.block(model, hide=[others]), **options))
        return guide

    return make


def _structured(model: Program, x: Tensor) -> Any:
    sites = ["z"] if model is points else ["a", "b"]
    dependencies = {} if model is points else {"b": {"a": "linear"}}
    return autoguide.AutoStructured(
        model, conditionals=dict.fromkeys(sites, "normal"), dependencies=dependencies, **_near(model, x)
    )


def _flow(make: Any) -> Callable[[Program, Tensor], Any]:
    return lambda model, x: autoguide.AutoNormalizingFlow(model, make)


class _Grouped(EasyGuide):
    def guide(self, x: Tensor) -> None:
        group = self.group(match="a|b|z")
        if group.event_shape[0] == 2:
            loc = pyro.param("loc", torch.tensor([0.57, 0.45]))
            group.sample("latents", dist.Normal(loc, 0.65).to_event(1))
            return
        with self.plate("data", len(x)):
            group.sample("latents", dist.Normal(x.unsqueeze(-1) / 2, 0.75).to_event(1))


class Wrapped(dist.TorchDistribution):
    """As `pyro.contrib.zuko.ZukoToPyro`: a distribution of another library that states no support."""

    has_rsample = True

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        super().__init__(inner.batch_shape, inner.event_shape, validate_args=False)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.inner.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.inner.log_prob(value)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Wrapped":
        return Wrapped(self.inner.expand(batch_shape))


def _wrapped(model: Program, x: Tensor) -> Program:
    def of_line(x: Tensor) -> None:
        pyro.sample("a", Wrapped(dist.Normal(torch.tensor(0.57), 0.65)))
        pyro.sample("b", Wrapped(dist.Normal(torch.tensor(0.45), 0.65)))

    def of_points(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", Wrapped(dist.Normal(x / 2, 0.75)))

    return of_points if model is points else of_line


GUIDES: dict[str, Callable[[Program, Tensor], Any]] = {
    "AutoNormal": _started(autoguide.AutoNormal),
    "AutoDiagonalNormal": _started(autoguide.AutoDiagonalNormal),
    "AutoMultivariateNormal": _started(autoguide.AutoMultivariateNormal),
    "AutoLowRankMultivariateNormal": _started(autoguide.AutoLowRankMultivariateNormal),
    "AutoIAFNormal": lambda model, x: autoguide.AutoIAFNormal(model, hidden_dim=[8], num_transforms=1),
    "AutoNormalizingFlow, affine autoregressive": _flow(transforms.affine_autoregressive),
    "AutoNormalizingFlow, planar": _flow(transforms.Planar),
    "AutoLaplaceApproximation": _laplace,
    "its laplace_approximation(...)": lambda model, x: _laplace(model, x).laplace_approximation(x),
    "AutoGuideList": _list(autoguide.AutoNormal),
    "AutoGuideList with an AutoDelta": _list(autoguide.AutoDelta),
    "AutoStructured": _structured,
    "AutoGaussian": _started(autoguide.AutoGaussian),
    "AutoDelta": lambda model, x: autoguide.AutoDelta(model),
    "AutoNormalMessenger": _started(autoguide.AutoNormalMessenger),
    "AutoHierarchicalNormalMessenger": _started(autoguide.AutoHierarchicalNormalMessenger),
    "AutoRegressiveMessenger": _started(autoguide.AutoRegressiveMessenger),
    "EasyGuide, a group": lambda model, x: _Grouped(model),
    "ZukoToPyro": _wrapped,
    "AutoDiscreteParallel": lambda model, x: autoguide.AutoDiscreteParallel(model),
}
"""By the name in `docs/compatibility.md`: from a model and data to a guide."""
