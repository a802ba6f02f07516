"""The weight of the KL term: gradients and optima in closed form, schedules, free bits, what the objective bounds."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule
from torch import Tensor, nn

from elbowroom.inference.programs.global_state import module_local_parameters
from elbowroom.inference.training import KL_WEIGHTS, NonFiniteError, fit
from elbowroom.inference.training.schedule import kl_weight
from toys.training import Conjugate, ConjugateGuide, make_data, make_pair, values

X = torch.linspace(-2, 3, 12, dtype=torch.float64)


def quiet(*arguments: Any, **options: Any) -> Any:
    return fit(*arguments, progress=False, **options)


def gradient(guide: nn.Module, model: nn.Module | None = None, data: Any = X, **options: Any) -> list[Tensor]:
    """What one step of SGD with rate 1e-3 took off each parameter of the guide, over 1e-3."""
    before = values(guide)
    quiet(model or Conjugate(), guide, data, num_epochs=1, optimizer="SGD", learning_rate=1e-3, **options)
    return [(a - b) / 1e-3 for a, b in zip(before, values(guide), strict=True)]


def conjugate_guide(slope: float, offset: float, spread: float) -> ConjugateGuide:
    guide = ConjugateGuide()
    with module_local_parameters(), torch.no_grad():
        guide.slope.fill_(slope)
        guide.offset.fill_(offset)
        guide.spread = torch.tensor(spread)
    return guide


@pytest.mark.parametrize("beta", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("at_the_optimum", [False, True])
def test_the_gradient_is_that_of_the_weighed_elbo(beta: float, at_the_optimum: bool) -> None:
    """z ~ N(0, 1), x | z ~ N(z, 1), q = N(m, s²), m = a x + c: with r = x − m − β m the loss has the gradient
    −mean(r x), −mean(r), (1 + β) s² − β in a, c, log s. It is 0 at q ∝ p(z) p(x|z)^(1/β) = N(x/(1+β), β/(1+β))."""
    a, c, s = (1 / (1 + beta), 0.0, math.sqrt(beta / (1 + beta))) if at_the_optimum else (0.2, 0.5, 0.8)
    particles = 2000
    found = torch.stack(gradient(conjugate_guide(a, c, s), beta=beta, num_particles=particles))
    r = X - (1 + beta) * (a * X + c)
    exact = torch.stack([-(r * X).mean(), -r.mean(), torch.tensor((1 + beta) * s**2 - beta)])
    # noise of one draw: (1 + β) s ε of the first two, s r ε − (1 + β) s² ε² of the last
    sd = (1 + beta) * s
    variance = torch.stack([(sd * X).square().mean(), torch.tensor(sd**2), ((s * r) ** 2).mean() + 2 * (sd * s) ** 2])
    assert ((found - exact).abs() < 4 * (variance / (particles * len(X))).sqrt()).all()
    assert at_the_optimum == bool((exact.abs() < 1e-12).all())


def test_training_ends_at_the_tempered_posterior() -> None:
    """β = 3: q is N(x/4, 3/4), while the validation ELBO stays at β = 1 and says what that costs."""
    guide = ConjugateGuide()
    fitted = quiet(Conjugate(), guide, X, validation=X, beta=3.0, num_epochs=300, learning_rate=0.05,
                   schedule="cosine", num_particles=100, num_validation_samples=200)  # fmt: skip
    with module_local_parameters():
        found = [guide.slope.item(), guide.offset.item(), guide.spread.item()]
    assert found == pytest.approx([0.25, 0.0, 0.75**0.5], abs=0.02)
    q, p = dist.Normal(X / 4, 0.75**0.5), dist.Normal(X / 2, 0.5**0.5)
    elbo = (Conjugate.log_evidence(X) - torch.distributions.kl_divergence(q, p)).mean().item()
    last = fitted.history[-1]
    assert last["elbo"] == pytest.approx(elbo, abs=5 * last["elbo_stderr"] + 0.01)
    assert (last["beta"], last["bound"], fitted.beta, fitted.bound) == (3.0, "none", 3.0, "none")
    assert "no bound on log p(x)" in str(fitted)


def test_a_discrete_latent_that_the_guide_marks_has_a_weighed_kl_too() -> None:
    """Summed over in the expectation, the loss has no noise: −Σ_k q_k log p(x|k) + β KL(q ‖ p)."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Bernoulli(torch.tensor(0.5)))
            pyro.sample("x", dist.Normal(k, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        q = pyro.param("q", torch.tensor(0.3))
        with pyro.plate("data", len(x)):
            pyro.sample("k", dist.Bernoulli(q), infer={"enumerate": "parallel"})

    fitted = quiet(model, guide, X, num_epochs=1, beta=3.0)
    q = dist.Bernoulli(torch.tensor(0.3))
    log_p = 0.3 * dist.Normal(1.0, 1.0).log_prob(X) + 0.7 * dist.Normal(0.0, 1.0).log_prob(X)
    kl = torch.distributions.kl_divergence(q, dist.Bernoulli(torch.tensor(0.5)))
    assert fitted.history[0]["train_loss"] == pytest.approx((3.0 * kl - log_p.mean()).item(), rel=1e-10)


def test_kl_weights() -> None:
    """Linear rises once; cyclical rises in the first half of each cycle; all are 1 after the warm-up."""
    assert [kl_weight(step, 4, "constant") for step in range(5)] == [1.0] * 5
    assert [kl_weight(step, 4, "linear") for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    cycle = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    assert [kl_weight(step, 24, "cyclical", 3) for step in range(26)] == [*cycle * 3, 1.0, 1.0]
    steps = [kl_weight(step, 49, "cyclical", 7) for step in range(49)]
    assert [step for step, weight in enumerate(steps) if weight == 0.0] == list(range(0, 49, 7))
    assert set(KL_WEIGHTS) == {"constant", "linear", "cyclical"}


def test_a_cyclical_weight_goes_through_all_of_training_by_default() -> None:
    fitted = quiet(*make_pair(), make_data(40), num_epochs=8, batch_size=10, kl_weight="cyclical", num_cycles=2,
                   beta=0.5)  # fmt: skip
    ends = [0.5 * min(1.0, 2 * (step % 16) / 16) for step in range(3, 32, 4)]
    assert [row["beta"] for row in fitted.history] == pytest.approx(ends)


def test_what_the_objective_bounds_epoch_by_epoch() -> None:
    def bounds(**options: Any) -> list[str]:
        return [
            row["bound"] for row in quiet(*make_pair(), make_data(40), num_epochs=4, batch_size=20, **options).history
        ]

    assert bounds() == bounds(loss="RenyiELBO", num_particles=2) == ["lower"] * 4
    assert bounds(warmup_epochs=2) == ["none", "none", "lower", "lower"]
    # two steps an epoch: in the last epoch of each cycle both have weight 1
    assert bounds(kl_weight="cyclical", num_cycles=2) == ["none", "lower", "none", "lower"]
    assert bounds(beta=2.0) == bounds(free_bits=0.1) == ["none"] * 4
    assert bounds(loss="RenyiELBO", num_particles=2, alpha=-1.0) == ["none"] * 4


class Apart(PyroModule):
    """q = N(m_1, 1) N(m_2, 1) N(m_3, 1) for every datum, on two sites: z of two dimensions and w."""

    def __init__(self, *means: float) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.tensor(means))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.means[:2], 1.0).expand([len(x), 2]).to_event(1))
            pyro.sample("w", dist.Normal(self.means[2], 1.0))


class Deaf(PyroModule):
    """x does not depend on z and w ~ N(0, 1): the objective is its KL term, m_j²/2 of latent j."""

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("w", dist.Normal(x.new_zeros(()), 1.0))
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)


@pytest.mark.parametrize("num_particles", [1, 3])
def test_free_bits_charge_no_latent_below_them(num_particles: int) -> None:
    """KLs of .02, .5, .08 nats under λ = .1: only the second has a gradient, β m; the loss has λ for the others."""
    options: dict[str, Any] = {"loss": "TraceMeanField_ELBO", "num_particles": num_particles, "beta": 2.0}
    found = gradient(Apart(0.2, 1.0, 0.4), Deaf(), free_bits=0.1, **options)[0]
    assert found.tolist() == pytest.approx([0.0, 2.0, 0.0], rel=1e-9)
    fitted = quiet(Deaf(), Apart(0.2, 1.0, 0.4), X, num_epochs=1, free_bits=0.1, **options)
    expected = -dist.Normal(0.0, 1.0).log_prob(X).mean().item() + 2.0 * (0.1 + 0.5 + 0.1)
    assert fitted.history[0]["train_loss"] == pytest.approx(expected, rel=1e-12)
    for free_bits, charged in ((0.03, [False, True, True]), (1.0, [False] * 3)):
        found = gradient(Apart(0.2, 1.0, 0.4), Deaf(), free_bits=free_bits, **options)[0]
        assert (found != 0).tolist() == charged


def test_free_bits_of_draws_and_of_sites_that_do_not_factorise() -> None:
    """Trace_ELBO takes the KL of the draws; a full covariance has one KL for its site, m'm/2 = .52 nats."""

    class Whole(Apart):
        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.MultivariateNormal(self.means[:2], torch.eye(2)))
                pyro.sample("w", dist.Normal(self.means[2], 1.0))

    x = torch.zeros(4000)  # log q − log p = mε + m²/2 has the standard error m/√4000
    for guide, free_bits, charged in ((Apart, 0.1, [False, True, False]), (Whole, 0.3, [True, True, False])):
        found = gradient(guide(0.2, 1.0, 0.4), Deaf(), x, batch_size=4000, free_bits=free_bits)[0]
        assert (found != 0).tolist() == charged
        assert found[1].item() == pytest.approx(1.0, abs=4 / 4000**0.5)


def test_what_masks_hide_of_a_latent_has_no_kl() -> None:
    """Of every second datum w is hidden: its mean KL is that of the others, .5, by half."""

    def half(program: nn.Module) -> Any:
        def run(x: Tensor) -> None:
            with poutine.mask(mask=x > 0):
                program(x)

        return run

    x = 1.0 - 2.0 * (torch.arange(4000) % 2)
    for free_bits, slope in ((0.2, 0.5), (0.3, 0.0)):
        guide = Apart(0.0, 0.0, 1.0)
        fit(half(Deaf()), half(guide), x, batch_size=4000, num_epochs=1, optimizer="SGD", learning_rate=1e-3,
            free_bits=free_bits, progress=False)  # fmt: skip
        assert ((1.0 - guide.means[2].item()) / 1e-3) == pytest.approx(slope, abs=4 * 0.5 / 2000**0.5 if slope else 0)


def test_rows_that_are_not_finite_are_named_under_free_bits() -> None:
    x = make_data()
    x[3] *= 1e200
    with pytest.raises(NonFiniteError) as caught:
        quiet(*make_pair(), x, free_bits=0.1)
    assert caught.value.rows == [3]


def test_few_free_bits_are_none() -> None:
    """Where every KL is above λ the steps are those of the ELBO, of draws and in closed form."""
    for loss in ("Trace_ELBO", "TraceMeanField_ELBO"):
        plain, floored = make_pair(), make_pair()
        quiet(*plain, make_data(), num_epochs=3, batch_size=16, loss=loss, num_particles=2, warmup_epochs=2)
        quiet(*floored, make_data(), num_epochs=3, batch_size=16, loss=loss, num_particles=2, warmup_epochs=2,
              free_bits=1e-9)  # fmt: skip
        for ours, theirs in zip(values(*floored), values(*plain), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_what_has_no_free_bits_is_named() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            which = pyro.sample("which", dist.Bernoulli(torch.tensor(0.5)))
            pyro.sample("x", dist.Normal(which, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("which", dist.Bernoulli(pyro.param("p", torch.tensor(0.3)).sigmoid()))

    with pytest.raises(ValueError, match=r"free_bits=0.1 needs draws that carry gradients.*'which' \(Bernoulli\)"):
        quiet(model, guide, X, free_bits=0.1)

    def single(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        with pyro.plate("items", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    with pytest.raises(ValueError, match=r"draws by way of \['z_unconstrained'\].*free_bits=0.1"):
        quiet(single, AutoNormal(single), X, plate=None, free_bits=0.1)
