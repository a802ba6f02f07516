"""The user's own programs, named module:name and found beside the user."""

from pathlib import Path

import numpy as np
import pytest

from toys.commands import Run, parameters
from toys.strict_json import read_json

DATA = ("--data.name=pixels.npy", "--training.epochs=2", "--training.batch_size=32")


def own(model: str, guide: str) -> tuple[str, str]:
    return f"--programs.model=mine:{model}", f"--programs.guide=mine:{guide}"


@pytest.mark.parametrize(
    "pair",
    [("make_model", "make_guide"), ("Model", "Guide"), ("the_model", "the_guide"), ("model", "guide")],
    ids=["function", "class", "module", "program"],
)
def test_own_programs_train_and_are_evaluated(
    run: Run, folder: Path, pixels: Path, programs: Path, pair: tuple[str, str]
) -> None:
    ended = run("train", *DATA, *own(*pair), "--output=run")
    assert ended.code == 0, ended.err
    first, last = (read_json(folder / "run" / name) for name in ("config.json", "last.json"))
    assert first["record"]["programs"]["model"] == f"mine:{pair[0]}" and last["checkpoint"] == "step-000000006"
    seen = run("evidence", "--run=run", "--trust=mine", "--num_samples=100", "--num_particles=[5]", "--json")
    rows = seen.json()["data"]
    assert all(row["elbo"] < row["exact"] + 4 * row["elbo_stderr"] for row in rows)
    trained = read_json(folder / "run" / "result.json")["last"]["elbo"]  # of other held-out data, but alike
    assert abs(sum(row["elbo"] for row in rows) / len(rows) - trained) < 1.5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--programs.model=mine:model",), ("programs.model and programs.guide go together",)),
        (("--programs.model=mine", "--programs.guide=mine:guide"), ("programs.model", "module:name", "'mine'")),
        (("--programs.model=mien:model", "--programs.guide=mine:guide"), ("programs.model", "no module 'mien'")),
        (own("modle", "guide"), ("programs.model", "has no 'modle'", "mine.py")),
        (own("a_number", "guide"), ("programs.model", "is a int, not a program")),
        (own("model", "fails"), ("programs.guide", "mine:fails() ", "mine.py, line ", "KeyError: 'not today'")),
        (own("NeedsWidth", "guide"), ("programs.model", "mine:NeedsWidth() without arguments", "TypeError", "width")),
        (own("model", "wrong_site"), ("different sites", "'z'", "'w'")),
        (own("model", "make_guide"), ("make_guide", "9")),
        ((*own("model", "guide"), "--programs.plate=batch"), ("plate named 'batch'", "['data']")),
    ],
)
def test_programs_that_cannot_be_used(
    run: Run, folder: Path, pixels: Path, programs: Path, options: tuple[str, ...], told: tuple[str, ...]
) -> None:
    if "make_guide" in options[-1]:  # a guide for other data
        programs.write_text(programs.read_text().replace("AmortizedNormal(9, 2, (8,))", "AmortizedNormal(7, 2)"))
        told = ("9", "7")
    ended = run("train", *DATA, *options, "--output=run")
    assert ended.refused(*told), ended
    assert not (folder / "run" / "last.json").exists()


@pytest.mark.parametrize("text", ["def model(x:\n    pass\n", "import torch\n1 / 0\n", "import nowhere_to_be_found\n"])
def test_a_module_that_does_not_import(run: Run, folder: Path, pixels: Path, text: str) -> None:
    (folder / "broken.py").write_text(text)
    ended = run("train", *DATA, "--programs.model=broken:model", "--programs.guide=broken:guide")
    where = {"def": ("broken.py, line 1", "SyntaxError"), "import torch": ("broken.py, line 2", "ZeroDivisionError")}
    told = next((t for start, t in where.items() if text.startswith(start)), ("no module 'nowhere_to_be_found'",))
    assert ended.refused("programs.model", *told), ended


@pytest.mark.slow
def test_an_own_model_takes_a_guide_by_name_and_the_other_way_round(
    run: Run, folder: Path, pixels: Path, programs: Path
) -> None:
    named = ("--programs.model=mine:make_model", "--programs.guide=normal", "--programs.guide_options={hidden: [3]}")
    assert run("train", *DATA, *named, "--output=a").code == 0
    assert parameters(folder / "a")["guide.encoder.layers.0.weight"].shape == (3, 9)
    named = ("--programs.model=vae", "--programs.guide=mine:make_guide", "--programs.options={hidden: [3]}")
    assert run("train", *DATA, *named, "--output=b").code == 0
    assert run("evidence", "--run=b", "--trust=mine:make_guide", "--num_samples=30", "--exact=no").code == 0
    refused = run("train", *DATA, *named, "--programs.guide_options={hidden: [3]}", "--output=c")
    assert refused.refused("programs.guide_options: your own guide mine:make_guide takes none")


@pytest.mark.slow
def test_pictures_of_a_walk_need_decode_and_encode(run: Run, folder: Path, pixels: Path, programs: Path) -> None:
    """Samples and reconstructions need no method: the program is run."""
    assert run("train", *DATA, *own("model", "guide"), "--output=run").code == 0
    shown = run("generate", "--run=run", "--trust=mine", "--num_samples=12")
    assert shown.code == 0 and "prior-samples.png" in shown.out and "reconstructions.png" in shown.out
    assert "No traversal: it walks" in shown.out and "decode(z) and latent_dim" in shown.out
    with np.load(folder / "run" / "generate" / "samples.npz") as samples:
        assert samples["x"].shape == (12, 9) and set(np.unique(samples["x"])) == {0, 1}
    assert run("train", *DATA, *own("Model", "Guide"), "--output=modules").code == 0
    assert run("generate", "--run=modules", "--trust=mine", "--num_samples=3", "--json").json()["left_out"] == {}


GREY = """
import pyro
import pyro.distributions as dist
import torch

from elbowroom.guides import AmortizedNormal

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder = torch.nn.Linear(2, 9)
    def forward(self, x):
        pyro.module("model", self)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(z), validate_args=False).to_event(1), obs=x)

def make_guide():
    return AmortizedNormal(9, 2, (8,))
"""


@pytest.mark.slow
def test_grey_data_of_own_programs_are_told_as_such(
    run: Run, folder: Path, pixels: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "mine.py").write_text(GREY)
    x = np.load(pixels)
    np.save(pixels, np.where(np.arange(len(x)).reshape(-1, 1, 1) % 2, x, 0.2 + 0.6 * x))
    ended = run("train", *DATA, "--data.binarize=none", *own("Model", "make_guide"), "--output=run")
    assert ended.code == 0 and caplog.text.count("NO LOG-LIKELIHOOD") == 1, ended
    for options in (("--num_samples=50", "--num_particles=[5]"), ("--method=bracket", "--budget=30")):
        rows = run("evidence", "--run=run", "--trust=mine", *options, "--json").json()["data"]
        told = ["NO LOG-LIKELIHOOD: site 'x'" in row["unnormalised"] for row in rows]
        assert any(told) and not all(told)
        seen = run("evidence", "--run=run", "--trust=mine", *options).out
        assert seen.index("NO LOG-LIKELIHOOD") < seen.index("mean ± error")
