"""How long training lasts where nothing is said, and what its last line says of latents that are not used."""

from pathlib import Path

import pytest

from elbowroom.commands.audit import how_long
from elbowroom.commands.options import Training
from elbowroom.commands.train import epochs_of, per_latent
from toys.commands import SMALL, Run
from toys.strict_json import read_json


@pytest.mark.parametrize(
    ("num_data", "batch_size", "epochs"),
    [(1257, 128, 350), (50_000, 128, 9), (1_000_000, 128, 1), (30, 128, 350), (1257, 32, 88), (50_000, 50_000, 350)],
)
def test_the_default_is_of_steps(num_data: int, batch_size: int, epochs: int) -> None:
    assert epochs_of(Training(batch_size=batch_size), num_data) == epochs
    assert epochs_of(Training(batch_size=batch_size, epochs=2), num_data) == 2


def test_what_training_will_take_is_said_and_recorded(run: Run, pixels: object) -> None:
    ended = run("train", "--data.name=pixels.npy", *SMALL, "--training.batch_size=2", "--output=run")
    assert ended.code == 0 and "into run: 3 epochs, 108 steps" in ended.out.splitlines()[0]
    assert read_json(Path("run/config.json"))["arguments"]["num_epochs"] == 3


@pytest.mark.parametrize(
    ("kl", "said"), [(0.934, "0.93"), (-0.001, "0.00"), (0.0, "0.00"), (-0.14, "0.00 (−0.14 by these draws)")]
)
def test_a_kl_is_not_negative(kl: float, said: str) -> None:
    assert per_latent(kl) == said


@pytest.mark.parametrize(
    ("budget", "seconds", "told"),
    [(20.0, 19.6, "This took 20 s."), ("2e5 evaluations", 99.0, "This took 99 s."), (20.0, 98.0, "78 s more than the")],
)
def test_an_audit_says_by_how_much_it_went_over_its_budget(budget: object, seconds: float, told: str) -> None:
    assert told in how_long({"budget": budget, "seconds": seconds})
