"""The restricted Boltzmann machine: Z by both sums, by annealing, gradients and draws against all states."""

from itertools import product

import pytest
import torch
from torch import Tensor

from elbowroom.densities import RBM, energy
from elbowroom.densities.partition_function import anneal_log_partition
from elbowroom.inference.weights import log_marginal
from toys.failure_budget import sigmas


def machine(num_visible: int = 8, num_hidden: int = 5, scale: float = 1.0, seed: int = 0) -> RBM:
    """With weights of such a size that its values are far from independent."""
    generator = torch.Generator().manual_seed(seed)
    density = RBM(num_visible, num_hidden)
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return density


def all_states(width: int) -> Tensor:
    return torch.tensor(list(product((0.0, 1.0), repeat=width)))


def energies(density: RBM) -> Tensor:
    """−E(x, h) = b·x + c·h + h·Wx of all x and h, `[2^P, 2^H]`: the definition."""
    x, h, net = all_states(density.data_dim), all_states(density.num_hidden), density.network
    return (x @ net.visible_bias)[:, None] + h @ net.hidden_bias + x @ net.weight.mT @ h.mT


@pytest.mark.parametrize("num_hidden", [3, 8, 11])
def test_z_is_the_same_by_both_sums(num_hidden: int) -> None:
    """2^H terms, 2^P terms, and the definition's 2^(P + H)."""
    density = machine(8, num_hidden)
    like = torch.zeros(())
    by_hidden, by_visible = (density._log_weights(like, down).logsumexp(0) for down in (True, False))
    assert by_hidden.item() == pytest.approx(by_visible.item(), abs=1e-10)
    found = density.log_partition()
    assert found.value == pytest.approx(energies(density).flatten().logsumexp(0).item(), abs=1e-10)
    assert (found.stderr, found.flag) == (0, "")


def test_sums_in_pieces_are_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine().log_partition().value
    monkeypatch.setattr(energy, "_CHUNK", 7)
    assert machine().log_partition().value == pytest.approx(whole, abs=1e-12)


def test_log_p_is_the_definitions() -> None:
    density = machine()
    table = energies(density)
    found = density.log_prob(all_states(8))
    torch.testing.assert_close(found.value, table.logsumexp(1) - table.flatten().logsumexp(0), rtol=0, atol=1e-10)
    assert found.bound == "exact" and not found.stderr.any()


@pytest.mark.parametrize(("num_chains", "num_steps"), [(20000, 2), (20000, 6), (400, 300)])
def test_annealing_finds_z(num_chains: int, num_steps: int) -> None:
    """With few temperatures, too: then it is the chains' steps that must be right."""
    density = machine(scale=0.7)
    with torch.no_grad():
        density.base_logits.copy_(torch.linspace(-2, 2, 8))
    exact = density.log_partition().value
    found = density.annealed(num_chains=num_chains, num_steps=num_steps)
    assert found.stderr < 0.03 and not found.flag
    assert abs(found.value - exact) < sigmas(3) * found.stderr


def test_one_temperature_is_importance_sampling_from_the_base() -> None:
    """Without steps between, E w = Z_1 / Z_0 by draws of independent values, written out."""
    density, a = machine(4, 3), torch.tensor([0.3, -0.2, 0.0, 1.0])
    found = anneal_log_partition(density.network, a, num_chains=9, num_steps=1, seed=4)
    x = (torch.rand(9, 4, generator=torch.Generator().manual_seed(4)) < a.sigmoid()).double()
    log_w = density.log_unnormalised(x) - x @ a - 3 * torch.tensor(2.0).log()
    log_z0 = (1 + a.exp()).log().sum() + 3 * torch.tensor(2.0).log()
    assert found.value == pytest.approx((log_z0 + log_marginal(log_w[:, None])).item(), abs=1e-10)


@pytest.mark.slow
def test_exp_of_the_annealed_z_is_unbiased_and_its_logarithm_low() -> None:
    """For few steps, too; 400 runs of 20 chains, and the error of their mean."""
    density = machine(scale=1.2)
    exact = density.log_partition().value
    ratios = (
        torch.tensor([density.annealed(num_chains=20, num_steps=4, seed=seed).value for seed in range(400)]) - exact
    )
    means = ratios.exp()
    assert abs(means.mean() - 1) < sigmas(2) * means.std() / 20
    assert ratios.mean() < -sigmas(2) * ratios.std() / 20


def test_weights_of_few_chains_with_a_heavy_tail_are_flagged() -> None:
    density = machine(20, 20, scale=2.5)
    assert "k-hat" in density.annealed(num_chains=200, num_steps=2).flag


def test_beyond_the_sum_log_p_is_an_upper_bound_with_one_error_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    density, x = machine(scale=0.7), all_states(8)[::50]
    exact = density.log_prob(x)
    monkeypatch.setattr(energy, "MOST_SUMMED", 3)
    assert not density.is_summed
    found = density.log_prob(x, seed=1, num_chains=300, num_steps=200)
    assert found.bound == "upper" and found.info["common_stderr"] == found.stderr[0] > 0
    shift = found.value - exact.value
    torch.testing.assert_close(shift, shift[:1].expand(len(x)), rtol=0, atol=1e-10)
    assert abs(shift[0]) < sigmas() * found.stderr[0]
    with pytest.raises(ValueError, match="method: 'exact' sums 2\\^H states, H at most 3; take method='pcd'"):
        density.fit(x, method="exact")
    density.fit(x, x, num_epochs=1)  # judged by an annealed log Z


@pytest.mark.parametrize("num_hidden", [5, 11])
def test_draws_are_exact_by_either_sum(num_hidden: int) -> None:
    """Means and pairs of values: of 5 hidden units through h, of 11 x at once."""
    density = machine(8, num_hidden)
    p, x = density.log_prob(all_states(8)).value.exp(), density.sample(5000, seed=2)
    one, pairs = p @ all_states(8), all_states(8).mT @ (p[:, None] * all_states(8))
    error = (pairs * (1 - pairs) / 5000).sqrt().clamp_min(1e-4)
    assert ((x.mT @ x / 5000 - pairs).abs() < sigmas(64) * error).all()
    assert one.min() > 0


def test_chains_draw_where_states_are_not_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    density = machine(scale=0.5)
    expected = density.log_prob(all_states(8)).value.exp() @ all_states(8)
    monkeypatch.setattr(energy, "MOST_SUMMED", 3)
    monkeypatch.setattr(energy, "_BURN_IN", 30)
    x = density.sample(3000, seed=1)
    assert ((x.mean(0) - expected).abs() < sigmas(8) * (expected * (1 - expected) / 3000).sqrt()).all()
    assert density.cost() == (1, 60)


def test_the_exact_gradient_is_that_of_log_p() -> None:
    """∂ log p / ∂W = E[h x | x] − E[h x], by the table of all states."""
    density, x = machine(4, 3), all_states(4)[[3, 9, 9, 14]]
    (density._log_partition(x) - density.log_unnormalised(x)).mean().backward()
    p = energies(density).flatten().softmax(0).reshape(16, 8).detach()
    own = all_states(3).mT @ p.mT @ all_states(4)
    up = density.network(x).sigmoid().detach()
    torch.testing.assert_close(density.network.weight.grad, own - up.mT @ x / 4, rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", ["pcd", "exact"])
def test_fit_finds_a_machine_that_gave_the_data(method: str) -> None:
    """As good on new data as the machine they were drawn from, up to what 1000 data can tell: 2 nats were to learn."""
    truth = machine(6, 2, scale=2.0, seed=3)
    x, new = truth.sample(1000, seed=1), truth.sample(1000, seed=2)
    options = {"num_epochs": 25, "batch_size": 50, "seed": 0}
    found = RBM(6, 2).fit(x, method=method, **options).log_prob(new).value
    lost = truth.log_prob(new).value - found
    assert lost.mean() < 0.03 + sigmas() * lost.std() / 1000**0.5
    assert (truth.log_prob(new).value.mean() - RBM(6, 2).log_prob(new).value.mean()) > 0.5


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"method": "cd"}, "method: got 'cd', expected one of 'pcd', 'exact'"),
        ({"num_gibbs_steps": 0}, "num_gibbs_steps must be .*got 0"),
        ({"num_chains": 0}, "num_chains must be .*got 0"),
    ],
)
def test_options_of_fit_out_of_range_are_named(option: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        RBM(4, 2).fit(all_states(4), **option)


@pytest.mark.slow
def test_bars_on_the_digits() -> None:
    """The floors of issue numbers: PCD with 16 hidden units, the exact gradient with 10; AIS of 1000 temperatures."""
    from elbowroom.datasets import load

    torch.set_default_dtype(torch.float32)
    data = load("digits", binarize="threshold")
    torch.manual_seed(0)
    density = RBM(64, 16).fit(data.train, data.validation)
    assert density.log_prob(data.test).mean()[0] >= -18.8
    annealed, exact = density.annealed(num_chains=100, num_steps=1000), density.log_partition()
    assert abs(annealed.value - exact.value) < 3 * annealed.stderr
    assert RBM(64, 10).fit(data.train, data.validation, method="exact").log_prob(data.test).mean()[0] >= -19.3
