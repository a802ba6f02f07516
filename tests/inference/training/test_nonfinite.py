"""A loss or gradient that is not finite stops training before it does harm, and the rows are named."""

import json
import math
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

from elbowroom.inference.programs.global_state import module_local_parameters
from elbowroom.inference.training import NonFiniteError, fit, load_checkpoint
from elbowroom.inference.training.batches import Batches
from elbowroom.inference.training.nonfinite import find_rows
from toys.training import ToyGuide, ToyModel, equal, make_data, make_pair, values


class Fragile(ToyModel):
    """A model whose likelihood is infinite, or whose gradient is, at rows marked by large first values."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> None:
        bad = x[:, 0] > 50.0
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            mean = self.network(z)
            if self.what == "loss":
                mean = mean / (~bad).unsqueeze(-1)
            else:  # sqrt at 0: the value is finite, its derivative is not
                mean = mean + (mean[:, :1] * (~bad).unsqueeze(-1)).abs().sqrt() * 1e-3
            pyro.sample("x", dist.Normal(mean, self.scale).to_event(1), obs=x.clamp(max=5.0))


def broken_data(rows: list[int], num_data: int = 40) -> Tensor:
    data = make_data(num_data).clamp(-5.0, 5.0)
    data[rows, 0] = 100.0
    return data


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("rows", [[17], [3, 4, 31]])
def test_rows_are_found_and_nothing_is_changed(tmp_path: Path, what: str, rows: list[int]) -> None:
    model, guide = Fragile(what), ToyGuide()
    before = values(model, guide)
    with pytest.raises(NonFiniteError, match=f"the {what} is not finite at epoch 1, step 0: rows") as caught:
        fit(model, guide, broken_data(rows), batch_size=40, run_dir=tmp_path / "run", progress=False)
    assert caught.value.rows == rows
    assert (caught.value.what, caught.value.epoch, caught.value.step) == (what, 1, 0)
    written = json.loads((tmp_path / "run" / "nonfinite.json").read_text())
    assert written["rows"] == rows and sorted(written["minibatch"]) == list(range(40)) and written["what"] == what
    assert equal(before, values(model, guide))
    load_checkpoint(tmp_path / "run", model, guide)
    assert equal(before, values(model, guide))


def test_the_last_good_step_is_kept(tmp_path: Path) -> None:
    """Rows are dataset indices, and steps before the bad one stand."""
    model, guide = Fragile("loss"), ToyGuide()
    start = values(model, guide)
    last = int(Batches((torch.zeros(40),), 4, seed=0).order(0)[-1])
    with pytest.raises(NonFiniteError) as caught:
        fit(
            model,
            guide,
            broken_data([last]),
            batch_size=4,
            run_dir=tmp_path / "run",
            checkpoint_seconds=0,
            progress=False,
        )
    assert caught.value.rows == [last] and caught.value.path == tmp_path / "run" / "nonfinite.json"
    stopped = values(model, guide)
    assert caught.value.step == 9 and not equal(start, stopped)
    assert all(bool(t.isfinite().all()) for t in stopped)
    other, other_guide = Fragile("loss"), ToyGuide()
    load_checkpoint(tmp_path / "run", other, other_guide)
    assert equal(stopped, values(other, other_guide))


def test_without_a_run_directory_the_rows_are_in_the_error() -> None:
    with pytest.raises(NonFiniteError, match=r"rows \[5\] of the training data") as caught:
        fit(Fragile("gradient"), ToyGuide(), broken_data([5]), progress=False)
    assert caught.value.path is None


def test_every_row_is_told_apart_from_some() -> None:
    model, guide = Fragile("loss"), ToyGuide()
    with pytest.raises(NonFiniteError, match="every row of the minibatch makes it so") as caught:
        fit(model, guide, broken_data(list(range(12)), 12), progress=False)
    assert caught.value.rows == list(range(12))


def test_one_datum() -> None:
    with pytest.raises(NonFiniteError) as caught:
        fit(Fragile("loss"), ToyGuide(), broken_data([0], 1), progress=False)
    assert caught.value.rows == [0]


def test_a_term_that_all_rows_share_is_not_blamed_on_rows() -> None:
    """What only many different rows together do is nobody's fault."""

    class Crowded(ToyModel):
        def forward(self, x: Tensor) -> None:
            crowded = self.training and len(x.unique(dim=0)) > 5  # as batch normalisation couples rows
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
                pyro.sample("x", dist.Normal(self.network(z), torch.inf if crowded else 1.0).to_event(1), obs=x)

    with pytest.raises(NonFiniteError, match="no row makes it so by itself") as caught:
        fit(Crowded(), ToyGuide(), make_data(8), progress=False)
    assert caught.value.rows == []


def test_parameters_that_ran_away_are_named() -> None:
    """The error says that parameters, not data, are the cause."""
    model, guide = make_pair()

    def run_away(_: Any) -> None:
        next(guide.parameters()).data.fill_(math.nan)

    with pytest.raises(NonFiniteError, match=r"parameters are not finite: .*Lower learning_rate or set clip_norm"):
        fit(model, guide, make_data(), num_epochs=5, progress=False, on_epoch=run_away)


def test_a_program_that_is_one_datum() -> None:
    def model(x: Tensor) -> None:
        m = pyro.sample("m", dist.Normal(torch.zeros(()), 1.0))
        with pyro.plate("items", len(x)):
            pyro.sample("x", dist.Normal(m * pyro.param("nan", torch.tensor(1.0)) / 0.0 * 0.0, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("m", dist.Normal(pyro.param("at", torch.tensor(0.0)), 1.0))

    with pytest.raises(NonFiniteError) as caught:
        fit(model, guide, torch.arange(3.0), plate=None, progress=False)
    assert caught.value.rows == []


def test_validation_that_is_not_finite_is_noted_and_never_the_best() -> None:
    model, guide = Fragile("loss"), ToyGuide()
    fitted = fit(model, guide, make_data().clamp(-5, 5), validation=broken_data([9, 11]), num_epochs=2, progress=False)
    assert fitted.best_epoch is None and fitted.best_elbo is None
    for row in fitted.history:
        assert row["elbo"] is None and row["kl_per_dim"] is None
        assert row["notes"] == ["the validation ELBO is not finite: 2 rows, first (9, 11)"]


def test_normalised_networks() -> None:
    """Rows are found in programs whose rows are coupled by batch normalisation, too."""

    class Coupled(Fragile):
        def __init__(self) -> None:
            super().__init__("loss")
            self.network = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5))

    with pytest.raises(NonFiniteError) as caught:
        fit(Coupled(), ToyGuide(), broken_data([7, 8]), batch_size=40, progress=False)
    assert caught.value.rows == [7, 8]


def test_rows_that_met_bad_noise_are_found() -> None:
    """The search repeats the step's own draws: rows whose z fell above 1.5 are named, not rows of another draw."""

    class Cliff(ToyModel):
        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
                mean = self.network(z) / (z[:, :1] < 1.5)
                pyro.sample("x", dist.Normal(mean, 1.0).to_event(1), obs=x)

    data, guide = make_data(), ToyGuide()
    order = Batches((data,), 40, seed=6).order(0)
    torch.manual_seed(6)
    with module_local_parameters(), torch.no_grad():
        z = dist.Normal(guide.network(data[order]), guide.scale).rsample()
    expected = sorted(order[z[:, 0] >= 1.5].tolist())
    assert 0 < len(expected) < 20
    with pytest.raises(NonFiniteError) as caught:
        fit(Cliff(), guide, data, batch_size=40, seed=6, progress=False)
    assert caught.value.rows == expected


def test_plates_inside_the_data_plate() -> None:
    """The data plate need not be the last dim."""

    class Nested(ToyModel):
        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x), dim=-2):
                z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0).expand([len(x), 1]))
                with pyro.plate("columns", 5, dim=-1):
                    mean = self.scale * z / (x[:, :1] < 50.0)
                    pyro.sample("x", dist.Normal(mean, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("z", dist.Normal(x[:, 1:2] * pyro.param("slope", torch.tensor(0.1)), 1.0))

    with pytest.raises(NonFiniteError) as caught:
        fit(Nested(), guide, broken_data([6, 30]), batch_size=40, progress=False)
    assert caught.value.rows == [6, 30]


def test_bisection_takes_few_trials() -> None:
    """k bad rows of b cost about 2 k log₂ b trials; rows stay in their own places, and the others are masked."""
    trials: list[Tensor] = []
    rows = torch.arange(256.0)

    def is_finite(batch: tuple[Any, ...], kept: Tensor) -> bool:
        trials.append(batch[0])
        assert torch.equal(batch[0][kept], rows[kept]) and set(batch[0].tolist()) == set(rows[kept].tolist())
        return not bool(((batch[0] == 77.0) | (batch[0] == 200.0)).any())

    assert find_rows((rows,), is_finite) == [77, 200]
    assert len(trials) <= 2 * 2 * 8 + 1


def test_a_search_out_of_time_reports_groups_whole() -> None:
    assert find_rows((torch.arange(8.0),), lambda batch, kept: False, seconds=0.0) == list(range(8))
