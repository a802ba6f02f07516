"""Every evaluation is counted once, recorded or not, and can be stopped at."""

import pytest
import torch

from elbowroom.inference import Evaluations, Target, bracket, importance
from elbowroom.inference.evaluation.clock import Clock, Spent, budget_words, read_budget
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.programs import evaluations
from toys.programs import data, normal_guide, normal_model


def target(num_data: int = 3) -> Target:
    return Target(normal_model, normal_guide(0.8), data(num_data))


def counted(run: object) -> int:
    before = evaluations.total()
    run()  # type: ignore[operator]
    return evaluations.total() - before


def test_what_counts() -> None:
    """Guide and model one each at a point, gradients three, and a record what the run that it stands for does."""
    of = target()
    z, _ = of.propose(5)
    assert counted(lambda: of.propose(5)) == counted(lambda: of.log_joint(z)) == 15
    assert counted(lambda: of.log_weights(5)) == 30
    steep = {name: value.clone().requires_grad_(True) for name, value in z.items()}
    assert counted(lambda: of.log_joint(steep)) == 15 * evaluations.GRADIENT
    densities, u = Densities.of(Coordinates.of(of), 100), torch.zeros(5, 3, 1)
    assert [counted(lambda: densities.gradient(u)) for _ in range(2)] == [15 * evaluations.GRADIENT] * 2
    # Slices of one size, a power of two of samples within the cells: what fills them up is evaluated, too.
    assert [counted(lambda: densities.log_joint(u)) for _ in range(2)] == [32 * 3] * 2


def test_it_stops_before_what_has_no_room() -> None:
    of, clock = target(), Clock("100 evaluations")
    with pytest.raises(Spent, match="the budget of 1e\\+02 evaluations is spent"), clock.until():
        of.propose(30)
        of.propose(4)
    assert clock.spent == 90 and clock.left == 10
    of.propose(4)  # outside nobody asks
    assert clock.left == -2
    with Clock("1e9 evaluations").forgiving(), pytest.raises(Spent), clock.until():
        of.propose(1)  # another clock's business
    with clock.forgiving(), clock.until():
        importance(of, num_samples=10)
        raise AssertionError("it went on")


def test_budgets_are_read() -> None:
    assert read_budget(3) == 3 and read_budget("2.5") == read_budget("2.5 s") == read_budget("2.5 seconds") == 2.5
    assert read_budget("2e5 evaluations") == read_budget("200,000 evaluations") == Evaluations(2e5)
    assert budget_words("2e5 evaluations") == "200000 evaluations" and budget_words(60.0) == "60 s"
    for wrong in ("soon", "2e5 draws", "e evaluations", ""):
        with pytest.raises(ValueError, match="budget must be seconds, or a text such as '2e5 evaluations'"):
            read_budget(wrong)
    with pytest.raises(ValueError, match="number must be a number > 0"):
        Evaluations(0.0)
    for wrong in ("-3 evaluations", "0"):
        with pytest.raises(ValueError, match="budget must be positive"):
            bracket(target(), budget=wrong)
