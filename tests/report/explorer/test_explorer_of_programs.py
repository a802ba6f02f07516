"""Explorers of five kinds of models, in a browser: what the page says of a place is what the programs say there."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal, ConvolutionalNormal, DeepKalmanSmoother
from elbowroom.inference import Exploration, Target, audit_target, explore
from elbowroom.inference.evaluation.scalars import by_site
from elbowroom.models import VAE, ConvolutionalVAE, DeepMarkov
from toys.browser import Browser, browser

PLACES = 20


@cache
def digits() -> torch.Tensor:
    return load("digits", binarize="threshold").test.double()


def of_digits(latent_dim: int) -> Target:
    torch.manual_seed(0)
    return Target(VAE(64, latent_dim, (16,)), AmortizedNormal(64, latent_dim, (16,)), digits()[:6])


def of_images() -> Target:
    torch.manual_seed(0)
    x = torch.nn.functional.interpolate(digits()[:4].reshape(-1, 1, 8, 8), (28, 28)).round()
    model = ConvolutionalVAE(784, 3, (8, 4), image_shape=(1, 28, 28))
    return Target(model, ConvolutionalNormal(784, 3, (1, 28, 28), (4, 8)), x)


def of_counts() -> Target:
    torch.manual_seed(0)
    x = torch.poisson(torch.rand(5, 12) * 4)
    return Target(VAE(12, 3, (8,), "poisson"), AmortizedNormal(12, 3, (8,)), x)


def of_sequences() -> Target:
    torch.manual_seed(0)
    x, mask = digits()[:4].reshape(-1, 8, 8)[:, :5], torch.ones(4, 5, dtype=torch.bool)
    mask[1, 3:] = False
    model = DeepMarkov(8, 2, (6,), num_steps=5)
    return Target(model, DeepKalmanSmoother(model, 6), x, mask)


KINDS: dict[str, Callable[[], Target]] = {
    "two latents": lambda: of_digits(2),
    "eight latents": lambda: of_digits(8),
    "images": of_images,
    "counts": of_counts,
    "sequences": of_sequences,
}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@cache
def explored(kind: str) -> tuple[Target, Exploration]:
    target = KINDS[kind]()
    return target, explore(audit_target(target, budget=0.2), data=[1, 0], budget=60.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_density_under_the_cursor_is_the_programs_own(kind: str, tmp_path: Path, tab: Browser) -> None:
    target, found = explored(kind)
    tab.open(found.save(tmp_path / "a.html"))
    view = found.views[0]
    low, high = view.frame.window[:, 0], view.frame.window[:, 1]
    generator = torch.Generator().manual_seed(1)
    places = low + (high - low) * torch.rand(PLACES, len(low), generator=generator)
    tab.driver.execute_async_script("explorer.ready.then(arguments[0])")
    told = [tab.run("return explorer.at(...arguments[0])", place.tolist()) for place in places]
    step = (high - low) / (len(view.log_joint) - 1)
    one = target.select([view.datum])
    u = torch.tensor([[answer["u"]] for answer in told], dtype=torch.float64)
    z = by_site(one, u)
    with torch.no_grad():
        (prior, likelihood), log_q = one.log_joint(z), one.log_guide(z)
    for i, answer in enumerate(told):
        assert bool(((torch.tensor(answer["place"][: len(low)]) - places[i]).abs() <= 0.51 * step).all())
        assert answer["log_joint"] == pytest.approx(float(prior[i, 0] + likelihood[i, 0]), abs=1e-3)
        assert answer["log_prior"] == pytest.approx(float(prior[i, 0]), abs=1e-3)
        assert answer["log_q"] == pytest.approx(float(log_q[i, 0]), abs=1e-3)
        assert len(answer["decoded"]) == found.x[0].numel()
    assert tab.complaints() == [] and [url for url in tab.requests() if not url.startswith(("file:", "data:"))] == []
