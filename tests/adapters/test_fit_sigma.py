"""The σ that maximises the ELBO: the mean squared residual by hand, a maximum, and what it makes of its own data."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from elbowroom.adapters import fit_sigma, from_vae
from elbowroom.guides import from_encoder
from elbowroom.inference import Target, importance
from elbowroom.models import VAE, from_decoder

B, P, D = 40, 5, 2


class Squares(nn.Module):
    """A VAE of known numbers: mean z W, and q narrow about x W' with a standard deviation of .3."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(D, P))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.flatten(1) @ self.weight.T / 4
        return mean, torch.full_like(mean, 0.3).log()

    def decode(self, z: Tensor) -> Any:
        return z @ self.weight


OUTPUTS = {"encoder_output": "mean_log_std", "decoder_output": "mean"}


def drawn(vae: Squares, num_data: int, sigma: float = 0.4) -> Tensor:
    return vae.decode(torch.randn(num_data, D)).detach() + sigma * torch.randn(num_data, P)


def test_it_is_the_root_of_the_mean_squared_residual() -> None:
    """By hand: E_q (x − z W)² is (x − m W)² and the variance that q's spread adds."""
    vae = Squares()
    x = drawn(vae, B)
    model, guide = from_vae(vae, x, likelihood="normal-fixed", sigma="optimal", **OUTPUTS)
    mean, _ = vae.encode(x)
    squares = (x - mean @ vae.weight).square() + 0.3**2 * vae.weight.square().sum(0)
    expected = squares.mean().sqrt().item()
    assert model.likelihood.sigma.item() == pytest.approx(expected, rel=0.02)  # a hundred draws of each datum
    each = squares.mean(-1)
    stderr = each.std().item() / B**0.5 / (2 * expected)
    told = model.notes[0]
    found = re.match(r"σ = ([\d.]+) ± ([\d.]+) is the one that .* on 40 data; .* by about ([\d.]+) nats", told)
    assert found is not None, told
    assert float(found[1]) == pytest.approx(expected, rel=0.02) and float(found[2]) == pytest.approx(stderr, rel=0.2)
    optimism = P / 2 * each.var().item() / expected**4 / B
    assert float(found[3]) == pytest.approx(optimism, rel=0.2)
    assert model.unlearned == () and any(told in note for note in Target(model, guide, x).notes)


def test_no_other_sigma_has_a_higher_elbo() -> None:
    vae = Squares()
    x = drawn(vae, B)
    model, guide = from_vae(vae, x, likelihood="normal-fixed", sigma="optimal", **OUTPUTS)
    best = model.likelihood.sigma.item()

    def elbo(sigma: float) -> float:
        model.likelihood.sigma.fill_(sigma)
        return float(importance(Target(model, guide, x), num_samples=100, search=False).info["elbo"].mean())

    at = [elbo(factor * best) for factor in (0.93, 1.0, 1.07)]
    assert at[1] > max(at[0], at[2])


@pytest.mark.slow
def test_the_optimism_is_what_the_same_data_gain_over_others() -> None:
    """Over many training sets: the ELBO of the data that σ was fitted on, less that of others at the same σ."""
    vae, few, gains, told = Squares(), 40, [], []
    others = drawn(vae, 20_000)

    def residuals(x: Tensor) -> Tensor:
        mean, _ = vae.encode(x)
        return ((x - mean @ vae.weight).square() + 0.09 * vae.weight.square().sum(0)).mean(-1).detach()

    far = residuals(others).mean()
    for _ in range(4000):
        r = residuals(drawn(vae, few))
        squared = r.mean()
        gains.append(P / 2 * (far / squared - 1))
        told.append(P / 2 * r.var() / squared**2 / few)
    gain, error = torch.stack(gains).mean(), torch.stack(gains).std() / 4000**0.5
    assert abs(gain - torch.stack(told).mean()) < 4 * error + 0.1 * gain  # leading order in 1/B
    assert gain > 10 * error


def test_programs_apart_and_objects_of_any_spread() -> None:
    """`from_decoder` says that it waits for a σ; `fit_sigma` puts it there. A Normal's own spread is not read then."""
    vae = Squares()
    x = drawn(vae, B)
    options: dict[str, Any] = {"latent_dim": D, "likelihood": "normal-fixed", "sigma": "optimal"}
    model = from_decoder(lambda z: Normal(vae.decode(z), 1.0), **options)
    guide = from_encoder(vae.encode, output="mean_log_std")
    assert any("nobody has computed" in doubt for doubt in Target(model, guide, x).suspicions)
    fitted = fit_sigma(model, guide, x, num_samples=50)
    assert model.likelihood.sigma.item() == pytest.approx(fitted.value)
    assert not any("nobody has computed" in doubt for doubt in Target(model, guide, x).suspicions)
    again, _ = from_vae(vae, x, likelihood="normal-fixed", likelihood_options={"sigma": "optimal"}, **OUTPUTS)
    assert again.likelihood.sigma.item() == pytest.approx(fitted.value, rel=0.03)


def test_what_has_no_place_for_it() -> None:
    vae = Squares()
    x = drawn(vae, B)
    model, guide = from_vae(vae, x, likelihood="normal-fixed", sigma=0.5, **OUTPUTS)
    with pytest.raises(TypeError, match=r"a σ that was given, expected one built with .*sigma='optimal'"):
        fit_sigma(model, guide, x)
    with pytest.raises(TypeError, match=r"sigma.* got 'optimal'"):
        from_vae(vae, x, likelihood="normal-learned", sigma="optimal", **OUTPUTS)
    with pytest.raises(ValueError, match=r"floor.* got 0\.1, but the likelihood 'normal-fixed' has no such option"):
        from_vae(vae, x, likelihood="normal-fixed", sigma="optimal", likelihood_options={"floor": 0.1}, **OUTPUTS)
    with pytest.raises(TypeError, match=r"sigma.* got 'optimal'"):  # of a model that is trained here
        VAE(P, D, likelihood="normal-fixed", sigma="optimal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"x.* got 1 data that do not differ, expected two at least"):
        from_vae(vae, x[:1], likelihood="normal-fixed", sigma="optimal", **OUTPUTS)
