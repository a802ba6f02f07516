"""What `fit` computes: its steps against steps written by hand, its numbers against exact ones."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import RenyiELBO, Trace_ELBO, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from elbowroom.inference.programs.global_state import module_local_parameters
from elbowroom.inference.target import Target
from elbowroom.inference.training import evaluate, fit
from elbowroom.inference.training.batches import Batches
from toys.training import (
    SIZE,
    Conjugate,
    ConjugateGuide,
    NormalisedGuide,
    ToyGuide,
    ToyModel,
    equal,
    make_data,
    make_pair,
    values,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "Trace_ELBO": {},
    "TraceMeanField_ELBO": {},
    "RenyiELBO": {"num_particles": 5, "alpha": 0.3},
}
BY_HAND: dict[str, Callable[[], Any]] = {
    "Trace_ELBO": Trace_ELBO,
    "TraceMeanField_ELBO": TraceMeanField_ELBO,
    "RenyiELBO": lambda: RenyiELBO(alpha=0.3, num_particles=5, vectorize_particles=True, max_plate_nesting=1),
}


def quiet(model: Any, guide: Any, data: Any, **options: Any) -> Any:
    return fit(model, guide, data, progress=False, **options)


@pytest.mark.parametrize("loss", sorted(OPTIONS))
def test_steps_are_those_written_by_hand(loss: str) -> None:
    """Two epochs of minibatches: the same parameters as Adam on Pyro's own loss divided by the minibatch's size."""
    data = make_data(10)
    model, guide = make_pair()
    fitted = quiet(
        model, guide, data, loss=loss, num_epochs=2, batch_size=4, learning_rate=0.01, seed=3, **OPTIONS[loss]
    )
    by_hand, guide_by_hand = make_pair()
    parameters = [*by_hand.parameters(), *guide_by_hand.parameters()]
    adam, elbo, order = torch.optim.Adam(parameters, lr=0.01), BY_HAND[loss](), Batches((data,), 4, 3).order
    torch.manual_seed(3)
    total = 0.0
    for epoch in range(2):
        for rows in order(epoch).split(4):
            adam.zero_grad()
            with module_local_parameters():
                total += elbo.loss_and_grads(by_hand, guide_by_hand, data[rows])
            for p in parameters:
                p.grad /= len(rows)
            adam.step()
    for ours, theirs in zip(values(model, guide), values(by_hand, guide_by_hand), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert sum(row["train_loss"] for row in fitted.history) * 10 == pytest.approx(total, rel=1e-12)
    assert fitted.num_steps == 6 and [row["step"] for row in fitted.history] == [3, 6]


def test_both_of_two_parameters_with_one_name_are_trained() -> None:
    """Pyro's SVI, which knows parameters by name, would lose one of two networks called `network`."""
    model, guide = make_pair()
    before = values(model, guide)
    quiet(model, guide, make_data(), num_epochs=1)
    assert all(not torch.equal(a, b) for a, b in zip(before, values(model, guide), strict=True))
    assert not set(map(id, model.parameters())) & set(map(id, guide.parameters()))
    assert len(pyro.get_param_store()) == 0


def test_scales_inside_the_programs_are_replaced() -> None:
    model, guide = make_pair()
    quiet(model, guide, make_data(), num_epochs=2)
    plain = values(model, guide)
    model, guide = make_pair()
    quiet(poutine.scale(model, scale=7.0), poutine.scale(guide, scale=3.0), make_data(), num_epochs=2)
    assert equal(plain, values(model, guide))


def test_without_a_plate_the_programs_own_scales_are_kept() -> None:
    """With plate=None a likelihood counted seven times is that: the posterior of seven copies of x."""

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        with poutine.scale(scale=7.0):
            pyro.sample("x", dist.Normal(z.unsqueeze(-1), torch.ones(2)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        where = pyro.param("where", torch.tensor(0.0))
        pyro.sample("z", dist.Normal(where, pyro.param("width", torch.tensor(0.3), constraint=constraints.positive)))

    x = torch.tensor([1.0, 2.0])
    quiet(model, guide, x, plate=None, loss="TraceMeanField_ELBO", num_epochs=500, learning_rate=0.04,
          schedule="cosine", num_particles=20)  # fmt: skip
    assert pyro.param("where").item() == pytest.approx(21 / 15, abs=0.03)
    assert pyro.param("width").item() == pytest.approx(15**-0.5, abs=0.01)


def test_reaches_the_exact_evidence() -> None:
    """At the exact posterior every weight is log p(x): the ELBO is exact and its standard error vanishes."""
    x = torch.linspace(-3, 3, 64)
    guide = ConjugateGuide()
    fitted = quiet(
        Conjugate(), guide, x, validation=x, num_epochs=400, learning_rate=0.05, schedule="cosine", batch_size=16
    )
    last = fitted.history[-1]
    assert last["elbo"] == pytest.approx(Conjugate.log_evidence(x).mean().item(), abs=1e-3)
    assert last["elbo_stderr"] < 3e-3
    assert guide.slope.item() == pytest.approx(0.5, abs=0.01)


def test_validation_is_split_into_its_parts() -> None:
    model, guide = make_pair()
    fitted = quiet(model, guide, make_data(), validation=make_data(30, seed=2), num_epochs=3, num_validation_samples=50)
    row = fitted.history[-1]
    assert row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"], abs=1e-10)
    assert row["kl"] == pytest.approx(sum(row["kl_per_dim"]["z"]), abs=1e-10) and len(row["kl_per_dim"]["z"]) == 2
    with module_local_parameters(), torch.no_grad():
        q = dist.Normal(guide.network(make_data(30, seed=2)), guide.scale)
        exact = torch.distributions.kl_divergence(q, dist.Normal(0.0, 1.0)).mean(0)
    for found, expected in zip(row["kl_per_dim"]["z"], exact.tolist(), strict=True):
        assert found == pytest.approx(expected, rel=0.1)


def test_the_standard_error_is_the_spread_of_repeated_evaluations() -> None:
    """Over 100 seeds the sd of the estimate is what each says of itself, within 5 standard errors of an sd, 5/√200."""
    target = Target(Conjugate(), ConjugateGuide(), torch.linspace(-2, 2, 5))
    found = [evaluate(target, num_samples=8, seed=seed) for seed in range(100)]
    spread = torch.tensor([e.elbo for e in found]).std().item()
    told = torch.tensor([e.elbo_stderr for e in found]).square().mean().sqrt().item()
    assert told == pytest.approx(spread, rel=5 / 200**0.5)


def test_validation_is_at_full_kl_weight_and_leaves_training_alone() -> None:
    plain, guide = make_pair()
    without = quiet(plain, guide, make_data(), num_epochs=4, warmup_epochs=3, batch_size=16)
    alone = values(plain, guide)
    model, guide = make_pair()
    fitted = quiet(model, guide, make_data(), validation=make_data(), num_epochs=4, warmup_epochs=3, batch_size=16,
                   validate_every=1)  # fmt: skip
    assert equal(alone, values(model, guide))
    assert [row["beta"] for row in fitted.history] == pytest.approx([2 / 9, 5 / 9, 8 / 9, 1.0])
    assert [row["train_loss"] for row in fitted.history] == [row["train_loss"] for row in without.history]
    assert all(row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"]) for row in fitted.history)


def test_kl_warm_up_begins_without_the_kl_term() -> None:
    """At β = 0 the loss is minus the reconstruction, whatever the guide's KL."""
    x = torch.linspace(-1, 1, 8)
    fitted = quiet(Conjugate(), ConjugateGuide(), x, num_epochs=1, warmup_epochs=5, loss="TraceMeanField_ELBO", seed=4)
    torch.manual_seed(4)
    x = x[Batches((x,), 8, 4).order(0)]
    z = 0.1 * x + 0.3 + torch.empty(8).normal_()
    expected = -dist.Normal(z, 1.0).log_prob(x).mean()
    assert fitted.history[0]["beta"] == 0.0
    assert fitted.history[0]["train_loss"] == pytest.approx(expected.item(), rel=1e-12)


def test_importance_weighted_loss_is_per_datum() -> None:
    """Rényi at α = 0 is the mean over data of log mean_k w: not the log of a mean over the batch, not w to the 1/B."""
    x = torch.tensor([-2.0, 0.5, 4.0])
    fitted = quiet(Conjugate(), ConjugateGuide(), x, loss="RenyiELBO", num_particles=6, num_epochs=1, seed=5)
    torch.manual_seed(5)
    x = x[Batches((x,), 3, 5).order(0)]
    z = dist.Normal(0.1 * x + 0.3, torch.ones(())).expand([6, 3]).sample()
    log_w = (
        dist.Normal(0.0, 1.0).log_prob(z)
        + dist.Normal(z, 1.0).log_prob(x)
        - dist.Normal(0.1 * x + 0.3, 1.0).log_prob(z)
    )
    assert fitted.history[0]["train_loss"] == pytest.approx(
        -(log_w.logsumexp(0) - math.log(6)).mean().item(), rel=1e-12
    )


def test_programs_that_do_not_broadcast_are_run_particle_by_particle() -> None:
    """A convolution takes one batch dim only; Rényi's bound must still be per datum."""

    class Image(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 1, 3, padding=1), nn.Flatten())

        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(x.new_zeros(4), 1.0).to_event(1))
                pyro.sample("x", dist.Normal(self.network(z), 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x * pyro.param("a", torch.tensor(0.5)), 1.0).to_event(1))

    x = make_data(12)[:, :4]
    fitted = quiet(
        Image(), guide, x, validation=x, loss="RenyiELBO", num_particles=3, num_epochs=10, learning_rate=0.03
    )
    assert fitted.history[-1]["elbo"] > fitted.history[0]["elbo"]


def test_plain_functions_keep_their_parameters_in_the_store() -> None:
    """`pyro.param` in functions, one of them shared by both programs, and a module they close over."""
    decoder = PyroModule[nn.Linear](1, SIZE)

    def model(x: Tensor) -> None:
        width = pyro.param("width", torch.tensor(1.0), constraint=constraints.positive)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(1), width).to_event(1))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        width = pyro.param("width", torch.tensor(1.0), constraint=constraints.positive)
        slope = pyro.param("slope", lambda: torch.randn(SIZE))
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal((x @ slope).unsqueeze(-1), width).to_event(1))

    before = values(decoder)
    fitted = quiet(model, guide, make_data(), validation=make_data(), num_epochs=20, learning_rate=0.02)
    assert set(pyro.get_param_store()) == {"width", "slope"}
    assert pyro.param("width").item() != 1.0
    assert not equal(before, values(decoder))
    assert fitted.history[-1]["elbo"] > fitted.history[0]["elbo"]


def test_methods_of_one_module_are_programs() -> None:
    """The idiom of Pyro's own VAE tutorial: `vae.model` and `vae.guide`."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder, self.encoder = nn.Linear(1, SIZE), nn.Linear(SIZE, 1)

        def model(self, x: Tensor) -> None:
            pyro.module("decoder", self.decoder)
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
                pyro.sample("x", dist.Normal(self.decoder(z), 1.0).to_event(1), obs=x)

        def guide(self, x: Tensor) -> None:
            pyro.module("encoder", self.encoder)
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(self.encoder(x), 1.0).to_event(1))

    both = Both()
    before = values(both)
    quiet(both.model, both.guide, make_data(), num_epochs=1)
    assert all(not torch.equal(a, b) for a, b in zip(before, values(both), strict=True))


def test_modules_without_parameter_statements_are_trained() -> None:
    """A plain nn.Module, or nn.Linear inside PyroModule[nn.Sequential]: Pyro's SVI sees no parameter there."""

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, SIZE)

        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
                pyro.sample("x", dist.Normal(self.layer(z), 1.0).to_event(1), obs=x)

    class Guide(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = PyroModule[nn.Sequential](nn.Linear(SIZE, 1))

        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(self.layers(x), 1.0).to_event(1))

    model, guide = Plain(), Guide()
    before = values(model, guide)
    quiet(model, guide, make_data(), num_epochs=1)
    assert all(not torch.equal(a, b) for a, b in zip(before, values(model, guide), strict=True))


def test_frozen_parameters_stay() -> None:
    model, guide = make_pair()
    model.network.requires_grad_(False)
    before = values(model.network)
    quiet(model, guide, make_data(), num_epochs=2)
    assert equal(before, values(model.network))


def test_a_shared_parameter_moves_once_a_step() -> None:
    """A tensor of both programs is one parameter: one Adam step moves it by the learning rate, not by twice that."""
    shared = nn.Parameter(torch.tensor(0.0))

    class Model(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.where = shared

        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(self.where, 1.0))
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    class Guide(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.where = shared

        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(self.where, 1.0))

    quiet(Model(), Guide(), torch.full((8,), 9.0), num_epochs=1, learning_rate=0.01)
    assert shared.item() == pytest.approx(0.01, rel=1e-6)


def test_autoguides_of_global_latents() -> None:
    """plate=None: data x_i ~ N(m, 1), m ~ N(0, 10²), an AutoNormal made before training; exact posterior known."""

    def model(x: Tensor) -> None:
        m = pyro.sample("m", dist.Normal(torch.zeros(()), 10.0))
        with pyro.plate("items", len(x)):
            pyro.sample("x", dist.Normal(m, 1.0), obs=x)

    x = torch.arange(20.0)
    guide = AutoNormal(model)
    fitted = quiet(model, guide, x, plate=None, validation=x, num_epochs=600, learning_rate=0.1, schedule="cosine",
                   loss="TraceMeanField_ELBO", num_particles=8)  # fmt: skip
    precision = 20 + 0.01
    exact = dist.MultivariateNormal(torch.zeros(20), torch.eye(20) + 100.0).log_prob(x).item()
    with module_local_parameters():
        assert guide.median()["m"].item() == pytest.approx(x.sum().item() / precision, abs=0.05)
    assert fitted.history[-1]["elbo"] == pytest.approx(exact, abs=0.05)


def test_a_program_that_is_one_datum_sees_the_data_in_their_order() -> None:
    """plate=None: a random walk is not shuffled, and arguments need not have as many rows."""
    seen = []

    def model(x: Tensor, other: Tensor) -> None:
        seen.append((x, other))
        drift = pyro.sample("drift", dist.Normal(torch.zeros(()), 1.0))
        with pyro.plate("steps", len(x) - 1):
            pyro.sample("x", dist.Normal(x[:-1] + drift.unsqueeze(-1), 1.0), obs=x[1:])

    def guide(x: Tensor, other: Tensor) -> None:
        pyro.sample("drift", dist.Normal(pyro.param("at", torch.tensor(0.0)), 0.3))

    x, other = torch.arange(50.0), torch.zeros(3, 2)
    quiet(model, guide, (x, other), plate=None, num_epochs=3)
    assert all(torch.equal(a, x) and torch.equal(b, other) for a, b in seen)


def test_programs_without_arguments() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=torch.tensor(2.0))

    def guide() -> None:
        pyro.sample("z", dist.Normal(pyro.param("where", torch.tensor(0.0)), 0.5**0.5))

    quiet(model, guide, None, plate=None, num_epochs=300, num_particles=20, learning_rate=0.05, schedule="cosine")
    assert pyro.param("where").item() == pytest.approx(1.0, abs=0.05)


def test_several_tensors_and_prepare() -> None:
    """Each minibatch is what `prepare` makes of its rows, row by row of every tensor."""
    seen: list[tuple[Tensor, Tensor]] = []

    def model(x: Tensor, label: Tensor) -> None:
        shift = pyro.param("shift", torch.tensor(0.0))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(label + shift, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor, label: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 1.0))

    def doubled(x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        seen.append((x, label))
        return 2 * x, label

    x = torch.arange(6.0)
    quiet(model, guide, (x, 10 * torch.arange(6)), num_epochs=1, batch_size=4, prepare=doubled)
    assert all(torch.equal(10 * a, b.to(a.dtype)) for a, b in seen)
    assert sorted(torch.cat([a for a, _ in seen[1:]]).tolist()) == x.tolist()


def test_masks_and_labels_are_cut_with_their_rows() -> None:
    """A float, a bool and an integer tensor; what the mask hides of x changes no step, to the last bit."""

    def model(x: Tensor, seen: Tensor, label: Tensor) -> None:
        assert torch.equal(seen, label.unsqueeze(-1) % torch.tensor([2, 3, 5]) != 0)
        shift = pyro.param("shift", torch.zeros(3))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.1 * label, 1.0))
            pyro.sample("x", dist.Normal(z.unsqueeze(-1) + shift, 1.0).mask(seen).to_event(1), obs=x)

    def guide(x: Tensor, seen: Tensor, label: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal((x * seen).sum(-1) * pyro.param("slope", torch.tensor(0.1)), 1.0))

    label = torch.arange(20)
    seen = label.unsqueeze(-1) % torch.tensor([2, 3, 5]) != 0
    ends = []
    for hidden in (0.0, 1e3):
        pyro.clear_param_store()
        x = torch.where(seen, make_data(20)[:, :3], hidden)
        tail = tuple(tensor[:7] for tensor in (x, seen, label))
        fitted = quiet(model, guide, (x, seen, label), validation=tail, num_epochs=3, batch_size=6)
        assert math.isfinite(fitted.history[-1]["elbo"])
        ends.append(pyro.param("shift").detach().clone())
    assert torch.equal(*ends) and bool((ends[0] != 0).all())


@pytest.mark.parametrize("num_data", [1, 3])
def test_few_data_and_large_minibatches(num_data: int) -> None:
    model, guide = make_pair()
    fitted = quiet(model, guide, make_data(num_data), validation=make_data(1), num_epochs=3, batch_size=1000)
    assert fitted.num_steps == 3 and math.isfinite(fitted.history[-1]["elbo"])


def test_a_constant_dataset() -> None:
    model, guide = make_pair()
    fitted = quiet(model, guide, torch.zeros(16, SIZE), num_epochs=5)
    assert math.isfinite(fitted.history[-1]["train_loss"])


def test_the_best_epoch_is_kept() -> None:
    """Overfitting two points: the best validation epoch comes before the last, and keep="best" returns to it."""
    options: dict[str, Any] = {"validation": make_data(30, seed=2), "num_epochs": 60, "learning_rate": 0.1,
                               "validate_every": 1}  # fmt: skip
    model, guide = make_pair()
    fitted = quiet(model, guide, make_data(2), keep="best", **options)
    elbos = [row["elbo"] for row in fitted.history]
    assert fitted.best_epoch == 1 + max(range(60), key=elbos.__getitem__) < 60
    assert fitted.best_elbo == max(elbos)
    best = values(model, guide)
    model, guide = make_pair()
    quiet(model, guide, make_data(2), **options | {"num_epochs": fitted.best_epoch})
    assert equal(best, values(model, guide))


def test_default_validation_interval_is_a_twentieth_of_the_work() -> None:
    model, guide = make_pair()
    fitted = quiet(model, guide, make_data(400), validation=make_data(50), num_epochs=30, num_validation_samples=4)
    validated = [row["epoch"] for row in fitted.history if "elbo" in row]
    assert validated == [1, 7, 14, 21, 28, 30]


def test_global_state_is_put_back_even_after_an_error() -> None:
    model, guide = make_pair()
    batch_norm = NormalisedGuide()
    batch_norm.network[1].eval()
    modes = [m.training for m in batch_norm.modules()]
    rng = torch.get_rng_state()
    settings = pyro.settings.get()
    pyro.param("mine", torch.tensor(1.0))
    quiet(model, batch_norm, make_data(), validation=make_data(), num_epochs=1)

    def breaks(x: Tensor) -> Tensor:
        raise KeyError("from prepare")

    with pytest.raises(KeyError, match="from prepare"):
        quiet(model, guide, make_data(), num_epochs=1, prepare=breaks)
    assert torch.equal(torch.get_rng_state(), rng)
    assert pyro.settings.get() == settings
    assert list(pyro.get_param_store()) == ["mine"]
    assert [m.training for m in batch_norm.modules()] == modes


def test_modules_fitted_here_run_in_pyros_global_mode_afterwards() -> None:
    model, guide, x = Conjugate(), ConjugateGuide(), torch.linspace(-2, 2, 16)
    fitted = quiet(model, guide, x, validation=x, num_epochs=2, num_validation_samples=2000)
    loss = Trace_ELBO(num_particles=2000, vectorize_particles=True, max_plate_nesting=1).loss(model, guide, x)
    assert -loss / 16 == pytest.approx(fitted.history[-1]["elbo"], abs=5 * 2**0.5 * fitted.history[-1]["elbo_stderr"])


def test_seeds_decide_everything() -> None:
    def run(seed: int) -> list[Tensor]:
        torch.manual_seed(torch.seed() % 1000)  # what the caller's generator does must not matter
        model, guide = make_pair()
        quiet(model, guide, make_data(), num_epochs=2, batch_size=8, seed=seed)
        return values(model, guide)

    assert equal(run(1), run(1))
    assert not equal(run(1), run(2))


def test_toys_of_another_size_share_nothing() -> None:
    """Old values in the user's store under the same names do not leak into new modules."""
    pyro.param("scale", torch.tensor(5.0), constraint=constraints.positive)
    model, guide = ToyModel(3), ToyGuide(3)
    model.scale = PyroParam(torch.tensor(2.0), constraint=constraints.positive)
    quiet(model, guide, make_data(), num_epochs=1, learning_rate=1e-9)
    with module_local_parameters():
        assert model.scale.item() == pytest.approx(2.0, abs=1e-6)
    assert pyro.param("scale").item() == pytest.approx(5.0, rel=1e-12)
