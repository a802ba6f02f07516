"""Two models on the same data: the library's numbers, the verdict last, and refusals before any work."""

from pathlib import Path

import pytest

from elbowroom.commands.two_runs import two_runs
from elbowroom.inference import versus
from toys.commands import SMALL, Run, the_target
from toys.strict_json import read_json

BUDGET = "3e6 evaluations"


def test_the_numbers_are_the_librarys_and_the_verdict_comes_last(run: Run, trained: Path) -> None:
    data = ("--data.name=pixels.npy", "--data.dir=.", "--data.binarize=threshold")
    assert run("train", *data, *SMALL, "--programs.latent_dim=1", "--output=other").code == 0
    ended = run("versus", f"--run={trained}", "--run", "other", f"--budget={BUDGET}", "--units=bits")
    assert ended.code == 0, ended
    record = read_json(Path("versus/versus.json"))
    assert (record["a"], record["b"]) == (trained.name, "other") and Path("versus/versus.png").exists()
    last = ended.out.strip().splitlines()
    assert "bits per dimension" in last[-1] and ended.out.index("Written:") < ended.out.index(record["verdict"][0])
    mean = record["means"]["log_p"]["value"]
    assert record["bits_per_dimension"]["a less b"]["log_p"]["value"] == pytest.approx(-mean / (9 * 0.6931), rel=1e-3)
    target = the_target(trained)
    again = versus(target, target, budget=BUDGET)
    assert [row["datum"] for row in record["data"]] == again.data.tolist()
    assert [row["elbo"][0] for row in record["data"]] == again.elbos[0].value.tolist()


def test_the_same_run_twice_and_half_a_model_are_refused(run: Run, trained: Path) -> None:
    assert run("versus", f"--run={trained}", f"--run={trained}").refused("twice", "--run A --run B")
    assert run("versus", f"--run={trained}", "--b.model=mine:model").refused("model and guide go together")
    assert run("versus", f"--run={trained}", "--run=nowhere").refused("nowhere")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["versus", "--run", "x", "--run", "y"], ["versus", "--a.run", "x", "--b.run", "y"]),
        (["versus", "--run=x", "--b.run=y"], ["versus", "--a.run=x", "--b.run=y"]),
        (["audit", "--run", "x"], ["audit", "--run", "x"]),
        ([], []),
    ],
)
def test_two_runs_are_spelled_out(typed: list[str], meant: list[str]) -> None:
    assert two_runs(typed) == meant


def test_bits_per_dimension_of_zeros_and_ones(run: Run, trained: Path) -> None:
    """Of probabilities there is no unit: nats / (9 log 2), whatever the file's numbers are."""
    ended = run("evidence", f"--run={trained}", "--num_samples=100", "--num_particles=[5]", "--units=bits")
    assert ended.code == 0 and "bits per dimension" in ended.out
    record = read_json(trained / "evidence.json")
    exact = [row["exact"] for row in record["data"]]
    found = record["bits_per_dimension"]["exact"]
    assert found["mean"] == pytest.approx(-sum(exact) / len(exact) / (9 * 0.693147), rel=1e-4)
    assert found["bound"] == "exact" and record["bits_per_dimension"]["elbo"]["bound"] == "upper"


def test_bits_of_chosen_data_are_told_one_by_one(run: Run, trained: Path) -> None:
    """They were chosen for their room: a mean of theirs would be of nothing."""
    ended = run("compare", f"--run={trained}", "--num_samples=100", "--indices=[7,2]", "--mcmc=false", "--units=bits")
    assert ended.code == 0, ended
    record = read_json(trained / "compare" / "comparison.json")
    exact = [row["exact"] for row in record["evidence"]]
    found = record["bits_per_dimension"]["quadrature"]
    assert found["data"] == pytest.approx([-value / (9 * 0.693147) for value in exact], rel=1e-4)
    line = next(line for line in ended.out.splitlines() if line.startswith("quadrature: bits per dimension"))
    assert line.endswith(f"datum 7: {found['data'][0]:.4f}, 2: {found['data'][1]:.4f}; exact, of 9 values.")


def test_dequantized_densities_are_bounds_in_the_files_numbers(run: Run, folder: Path) -> None:
    model = ("--programs.options={likelihood: normal-learned}", "--training.epochs=2")
    ended = run("train", "--data.dequantize=static", *model, *SMALL[1:], "--output=noisy")
    assert ended.code == 0, ended
    ended = run(
        "evidence", "--run=noisy", "--limit=4", "--num_samples=50", "--num_particles=[5]", "--exact=no", "--units=bits"
    )
    assert ended.code == 0, ended
    record = read_json(Path("noisy/evidence.json"))["bits_per_dimension"]["importance"]
    assert record["bound"] == "upper" and "(17 to 1)" in record["of"] and "dequantized" in record["of"]
