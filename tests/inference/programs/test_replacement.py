"""A model's latent sites with other distributions: what is drawn, what others see, and where the run ends."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.programs.replacement import draw_latents

X = torch.tensor([0.3, -1.2, 0.8])


reached_the_end: list[bool] = []


def model(x: Tensor) -> None:
    shift = pyro.param("shift", torch.tensor(0.5))
    with pyro.plate("data", len(x)):
        first = pyro.sample("first", dist.Normal(shift, 1.0).expand([len(x)]))
        second = pyro.sample("second", dist.Normal(first, 2.0))
        reached_the_end.append(True)
        pyro.sample("x", dist.Normal(second, 1.0), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("first", dist.Normal(torch.zeros(len(x)), 1.0))
        pyro.sample("second", dist.Normal(torch.zeros(len(x)), 1.0))


def test_each_site_has_the_distribution_that_is_given_and_the_run_ends_with_the_last() -> None:
    latents = Target(model, guide, X).structure.latents
    place, drawn, own_means = {"first": 7.0, "second": -7.0}, {}, {}

    def replace(latent: Any, fn: Any) -> Any:
        own_means[latent.name] = fn.mean
        return dist.Normal(torch.full((len(X),), place[latent.name]), 1e-6)

    def take(latent: Any, value: Tensor) -> None:
        drawn[latent.name] = value

    reached_the_end.clear()
    with poutine.trace() as tracer:
        draw_latents(model, latents, replace, take, (X,), {})
    assert not reached_the_end, "the model ran on after its last latent site"
    for name, value in place.items():
        torch.testing.assert_close(drawn[name], torch.full((len(X),), value), atol=1e-4, rtol=0)
        assert tracer.trace.nodes[name]["value"] is drawn[name]
    torch.testing.assert_close(own_means["second"], drawn["first"])  # the model's later sites see what was drawn
    seen = {name for name, site in tracer.trace.nodes.items() if site["type"] in ("sample", "param")}
    assert seen == {"data", "first", "second"}, "neither the model's parameter nor its observed site is seen outside"
