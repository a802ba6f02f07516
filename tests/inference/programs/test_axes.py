"""Data along any axis of the arguments: the same numbers, to the bit, as along the first."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import ProgramError, Target, audit, bracket, calibrate, check_program, decompose, quadrature
from toys.programs import data

X = data(3, 6)  # feature-major: three values of each of six data
_COVARIANCE = torch.ones(3, 3, dtype=torch.float64) + 0.25 * torch.eye(3, dtype=torch.float64)
TRUTH = dist.MultivariateNormal(torch.zeros(3, dtype=torch.float64), _COVARIANCE).log_prob(X.T)


def model(x: Tensor) -> None:
    with pyro.plate("data", x.shape[1]):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("obs", 3):
            pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", x.shape[1]):
        pyro.sample("z", dist.Normal(x.sum(0) * 4 / 13, 0.3))


def transposed(program: Any) -> Any:
    return lambda x: program(x.T)


@pytest.mark.parametrize("per_datum", [None, {0: 1}, {0: -1}])
def test_the_axis_is_told_or_found(per_datum: dict[int, int] | None) -> None:
    target = Target(model, guide, X, per_datum=per_datum)
    assert target.per_datum == {0: 1} and target.sliceable and target.data[0].shape == (6, 3)
    torch.testing.assert_close(quadrature(target).value, TRUTH, rtol=0.0, atol=1e-8)


def test_results_do_not_depend_on_the_axis() -> None:
    """Keys are of a datum's contents, so its noise and all that rests on it are the same bits."""
    one, other = Target(model, guide, X), Target(transposed(model), transposed(guide), X.T.contiguous())
    assert other.per_datum == {0: 0} and (one.keys == other.keys).all()
    index = [5, 1, 1]
    for a, b in ((one, other), (one.select(index), other.select(index))):
        z, log_q = a.propose(5)
        assert torch.equal(z["z"], b.propose(5)[0]["z"]) and torch.equal(log_q, b.propose(5)[1])
        torch.testing.assert_close(a.log_weights(5), b.log_weights(5), rtol=1e-13, atol=1e-13)
    (simulated, z), (as_rows, z_rows) = one.simulate(3), other.simulate(3)
    assert simulated.args[0].shape == (3, 6) and torch.equal(simulated.args[0], as_rows.args[0].T)
    assert torch.equal(z["z"], z_rows["z"]) and (simulated.keys == as_rows.keys).all()


def test_every_layout_cuts_along_the_axis() -> None:
    for layout in ("plate", "fold", "loop"):
        target = Target(model, guide, X, per_datum={0: 1}, layout=layout)
        log_w = target.log_weights(4)
        torch.testing.assert_close(log_w[:, 2:4], target.select([2, 3]).log_weights(4))


@pytest.mark.slow
def test_what_cuts_and_repeats_the_data() -> None:
    target = Target(model, guide, X)
    torch.testing.assert_close(bracket(target, budget=5).lower.value, TRUTH, rtol=0.0, atol=1e-5)
    assert calibrate(target, num_simulations=60, num_draws=30).ranks.shape[0] == 60
    refined = decompose(target, families=["mean-field"], num_samples=64).refined.target()
    assert refined.per_datum[0] == 1 and len(refined.select([3])) == 1
    assert check_program(model, guide, X, per_datum={0: 1}).num_data == 6
    found = audit(model, guide, X, per_datum={0: 1}, budget="2e4 evaluations")
    assert found.num_data == 6 and found.x is not None and torch.equal(found.x, X.T)


def test_arguments_that_differ_in_it() -> None:
    """Time-major sequences beside lengths with a row for each datum, by name."""
    x, lengths = data(4, 5, 2), torch.tensor([4, 2, 3, 1, 4])

    def sequences(x: Tensor, lengths: Tensor) -> None:
        present = (torch.arange(4).unsqueeze(-1) < lengths).unsqueeze(-1)
        with pyro.plate("data", len(lengths)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            for t in range(4):
                pyro.sample(f"x_{t}", dist.Normal(z, 1.0).mask(present[t]).to_event(1), obs=x[t])

    def encoder(x: Tensor, lengths: Tensor) -> None:
        with pyro.plate("data", len(lengths)):
            pyro.sample("z", dist.Normal(x[0] / 2, 0.7).to_event(1))

    target = Target(sequences, encoder, x=x, lengths=lengths)
    assert target.per_datum == {"x": 1, "lengths": 0} and target.sliceable
    log_w = target.log_weights(3)
    torch.testing.assert_close(target.select([3, 0]).log_weights(3), log_w[:, [3, 0]])


def test_an_axis_that_only_has_the_size_is_not_taken() -> None:
    """Both axes have six: nothing is guessed, the whole is right, and the words say what to name."""
    square = data(6, 6)

    def wide(x: Tensor) -> None:
        with pyro.plate("data", x.shape[1]):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with pyro.plate("obs", x.shape[0]):
                pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    target = Target(wide, guide, square)
    assert not target.sliceable
    with pytest.raises(ValueError, match=r"keeps its size 6.*per_datum=\{0: axis\}"):
        calibrate(target)
    told = Target(wide, guide, square, per_datum={0: 1})
    torch.testing.assert_close(told.select([4]).log_weights(2), told.log_weights(2)[:, 4:5])
    torch.testing.assert_close(quadrature(told).value, quadrature(target).value)


def test_weights_of_the_same_size_are_not_cut() -> None:
    """The programs follow when the labels' column is cut with the data, but then a datum is not what it was."""
    x, weight = data(3, 6), data(2, 6, seed=3)

    def placed(x: Tensor, weight: Tensor) -> None:
        with pyro.plate("data", x.shape[1]):
            z = pyro.sample("z", dist.Normal(weight[0, 0], 1.0))
            with pyro.plate("obs", 3):
                pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    target = Target(placed, lambda x, weight: guide(x), x, weight)
    assert not target.sliceable  # the first weight moves with the datum that comes first
    z, _ = target.propose(2)
    torch.testing.assert_close(target.log_joint(z)[0], dist.Normal(weight[0, 0], 1.0).log_prob(z["z"]))


def test_an_axis_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"argument 0, .*6 rows.*\(3, 6\).*per_datum=\{0: axis\}"):
        Target(model, guide, X, per_datum=[0])
    with pytest.raises(ValueError, match=r"argument 0, .*6 entries along axis 2"):
        Target(model, guide, X, per_datum={0: 2})


def test_an_argument_without_columns_is_no_absence_of_data() -> None:
    """Covariates that there are none of, as forecasting models are given them."""
    target = Target(lambda x, c: model(x), lambda x, c: guide(x), X, X.new_zeros(6, 0), per_datum={0: 1, 1: 0})
    torch.testing.assert_close(quadrature(target).value, TRUTH, rtol=0.0, atol=1e-8)
    assert target.select([4, 1]).args[1].shape == (2, 0)


def test_no_data_along_another_axis_are_refused() -> None:
    with pytest.raises(ProgramError, match="size cannot be zero"):
        Target(model, guide, X[:, :0])
