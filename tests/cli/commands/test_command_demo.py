"""elbowroom demo: what it leaves, and what it does not overwrite."""

from pathlib import Path

import pytest

from toys.commands import Run
from toys.strict_json import read_json


@pytest.mark.parametrize(
    "files",
    [
        ("thesis.tex",),
        ("demo.json", "thesis.tex"),
        ("run/config.json",),
        ("demo.json", "run/config.json", "compare/posteriors.png", "notes/one.txt"),
    ],
)
def test_a_directory_with_anything_else_is_left_alone(run: Run, folder: Path, files: tuple[str, ...]) -> None:
    for name in files:
        (folder / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "here" / name).write_text("{}")
    assert run("demo", "--output=here").refused("here holds something other than an earlier demo", "--output")
    assert all((folder / "here" / name).read_text() == "{}" for name in files)


def test_nonsense_is_refused_before_anything_is_removed(run: Run, folder: Path) -> None:
    (folder / "here").mkdir()
    (folder / "here" / "demo.json").write_text("{}")
    assert run("demo", "--output=here", "--num_compared=0").refused("num_compared", "0")
    assert (folder / "here" / "demo.json").read_text() == "{}"


@pytest.mark.slow
def test_the_whole_demo_twice(run: Run, folder: Path) -> None:
    quick = ("--epochs=4", "--num_compared=1", "--output=here")
    (folder / "here").mkdir()
    first = run("demo", *quick, "--json")
    found = first.json()
    assert found == read_json(folder / "here" / "demo.json") and found["finished"]
    assert found["elbo"] < found["importance"][0] <= found["exact"][0] + 4 * found["importance"][1]
    assert found["comparison"]["mcmc"]["num_chains"] == 4
    assert {path.name for path in (folder / "here").iterdir()} == {
        "demo.json", "run", "training.png", "evidence.json", "room.png", "compare", "audit", "generate",
    }  # fmt: skip
    second = run("demo", *quick)
    assert second.code == 0
    parts = ("1  Train", "2  How much room", "3  VI against MCMC", "4  May q be trusted", "5  What the model")
    for words in (*parts, "quadrature", "Done in"):
        assert words in second.out
    again = read_json(folder / "here" / "demo.json")
    assert again["elbo"] == found["elbo"] and again["exact"] == found["exact"]
