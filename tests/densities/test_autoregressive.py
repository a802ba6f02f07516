"""MADE: what looks at what, that it is normalised, orders and their mixture, levels, draws."""

from itertools import product

import pytest
import torch
from torch import Tensor

from elbowroom.densities import MADE
from toys.failure_budget import sigmas


def made(data_dim: int, seed: int = 0, **options: object) -> MADE:
    """With weights so large that every conditional depends on what is before it."""
    torch.manual_seed(seed)
    density = MADE(data_dim, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.normal_()
    return density.eval()


def all_states(width: int, levels: int = 2) -> Tensor:
    return torch.tensor(list(product(range(levels), repeat=width)), dtype=torch.get_default_dtype())


@pytest.mark.parametrize("hidden", [(), (16,), (9, 7)])
@pytest.mark.parametrize("num_orders", [1, 3])
def test_all_probabilities_of_ten_values_sum_to_one(hidden: tuple[int, ...], num_orders: int) -> None:
    density = made(10, hidden=hidden, num_orders=num_orders)
    assert density.log_prob(all_states(10)).value.exp().sum().item() == pytest.approx(1, abs=1e-10)


def test_of_more_levels_too() -> None:
    density = made(4, levels=5, hidden=(13,), num_orders=2)
    assert density.log_prob(all_states(4, 5)).value.exp().sum().item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("hidden", [(), (16,), (16, 11)])
@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("direct", [True, False])
def test_an_output_sees_all_inputs_before_it_and_no_other(hidden: tuple[int, ...], levels: int, direct: bool) -> None:
    """The Jacobian of each order's network: its pattern is that of a triangle, in the order of that network.

    By the direct connections, and by the hidden units alone.
    """
    density = made(6, levels=levels, hidden=hidden, num_orders=3)
    if not direct and not hidden:
        return
    for network in density.network:
        torch.nn.init.constant_(network.direct.weight, float(direct))
    width = 1 if levels == 2 else levels
    seen = []
    for network in density.network:
        jacobian = torch.autograd.functional.jacobian(network, torch.randn(6))
        depends = jacobian.reshape(6, width, 6).abs().amax(1) > 0
        place = network.order
        assert torch.equal(depends, place[:, None] > place)
        seen.append(place.tolist())
    assert seen[0] == list(range(6)) and len({tuple(order) for order in seen}) == 3


def test_the_network_without_hidden_layers_is_a_regression_of_each_value_on_those_before() -> None:
    density, x = made(5, hidden=()), all_states(5)
    net = density.network[0].direct
    logits = x @ torch.tril(net.weight, -1).mT + net.bias
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(density.log_prob(x).value, expected.detach(), rtol=0, atol=1e-12)
    assert density.num_parameters == 10 + 5


def test_two_orders_are_averaged_as_probabilities() -> None:
    density, x = made(6, num_orders=3), all_states(6)
    by_order = density.log_prob_by_order(x).detach()
    assert (by_order[0] - by_order[1]).abs().max() > 0.1
    torch.testing.assert_close(density.log_prob(x).value.exp(), by_order.exp().mean(0))


def test_orders_come_from_their_seed() -> None:
    orders = [[n.order.tolist() for n in MADE(30, num_orders=2, order_seed=seed).network] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_two_levels_are_ones_and_zeros_of_the_categorical() -> None:
    """The logits that draws are made of are those that log p is made of."""
    for levels in (2, 3):
        density, x = made(3, levels=levels), all_states(3, levels)
        logits = density._logits(density.network[0](x / (levels - 1))).log_softmax(-1)
        by_hand = logits.gather(-1, x.long()[..., None]).sum((1, 2)).detach()
        torch.testing.assert_close(density.log_prob(x).value, by_hand)


def test_draws_of_several_orders_are_as_frequent_as_the_mixture_says() -> None:
    density = made(5, num_orders=3)
    orders = [network.order for network in density.network]
    assert any(not torch.equal(order, order.argsort()) for order in orders)
    p, x = density.log_prob(all_states(5)).value.exp(), density.sample(4000, seed=1)
    seen = torch.bincount((x @ 2 ** torch.arange(4.0, -1, -1)).long(), minlength=32) / 4000
    assert ((seen - p).abs() < sigmas(32) * (p * (1 - p) / 4000).sqrt() + 1e-3).all()


def test_dropout_is_in_training_only_and_keeps_the_mean() -> None:
    network, x = made(6, hidden=(2000,), dropout=0.4).network[0], torch.ones(1, 6)
    draws = torch.cat([network(x, torch.Generator().manual_seed(seed)) for seed in range(200)])
    assert ((draws.mean(0) - network(x)).abs() <= sigmas(6) * draws.std(0) / 200**0.5 + 1e-9).all()
    assert draws.std(0)[1:].min() > 0 and torch.equal(network(x), network(x))


def test_fit_finds_a_network_that_gave_the_data() -> None:
    truth = made(5, hidden=())
    x, new = truth.sample(2000, seed=1), truth.sample(2000, seed=2)
    found = MADE(5, hidden=()).fit(x, num_epochs=40, weight_decay=0.0)
    lost = truth.log_prob(new).value - found.log_prob(new).value
    assert lost.mean() < 0.01 + sigmas() * lost.std() / 2000**0.5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"data_dim": 0}, "data_dim.* got 0"),
        ({"levels": 1}, "levels.* got 1"),
        ({"hidden": (3, 0)}, r"hidden.* got 0"),
        ({"dropout": 1.0}, r"dropout.* got 1.0"),
        ({"dropout": -0.1}, "dropout.* got -0.1"),
        ({"num_orders": 0}, "num_orders.* got 0"),
    ],
)
def test_options_out_of_range_are_named(options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MADE(**{"data_dim": 4, **options})


@pytest.mark.slow
def test_bars_on_the_digits() -> None:
    """512 hidden units, and none."""
    from elbowroom.datasets import load

    torch.set_default_dtype(torch.float32)
    data = load("digits", binarize="threshold")
    for options, bar in (({}, -17.1), ({"hidden": ()}, -18.5)):
        torch.manual_seed(0)
        density = MADE(64, **options).fit(data.train, data.validation)
        assert density.log_prob(data.test).mean()[0] >= bar
