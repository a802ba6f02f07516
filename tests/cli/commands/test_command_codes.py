"""A vector-quantised model on the command line: its loss, the bound at the nearest codes, the use of the codebook."""

from pathlib import Path

import pytest
import torch

from elbowroom.commands.runs import open_run
from elbowroom.inference import code_usage
from toys.commands import SMALL, Run
from toys.strict_json import read_json

MODEL = ("--programs.model=vector-quantized", "--programs.options={num_codes: 5, prior_hidden: [8]}")
DATA = ("--data.name=pixels.npy", "--data.dir=.")


@pytest.mark.slow
def test_a_codebook_is_trained_measured_audited_and_drawn(run: Run, pixels: Path) -> None:
    told = run("train", *DATA, *MODEL, *SMALL, "--output=run", "--json").json()
    assert (told["loss"], told["bound"]) == ("quantized", "lower")
    said = run("evidence", "--run=run", "--num_samples=50", "--num_particles=[5]").out
    assert "a lower bound; −log p(k*|x), what it is below log p(x): " in said
    assert "use of 5 codes at 2 positions by 9 data" in said
    found, opened = read_json(Path("run/evidence.json")), open_run("run", "last", "cpu")
    (x,) = opened.arguments("test")
    with torch.no_grad():
        codes = opened.guide.nearest(x)
        exact, bound = opened.model.log_prob(x), opened.model.log_joint(x, codes)
    assert [row["exact"] for row in found["data"]] == pytest.approx(exact.tolist(), abs=1e-4)
    assert found["nearest_code"]["log_joint"] == pytest.approx(bound.tolist(), abs=1e-4)
    assert found["nearest_code"]["shortfall"] == pytest.approx((exact - bound).tolist(), abs=1e-4)
    assert found["code_usage"]["usage"] == code_usage(codes, 5).usage.tolist()
    told = run("evidence", "--run=run", "--method=bracket", "--limit=3", "--budget=1e5 evaluations", "--json").json()
    assert told["num_settled"] == 3 and len(told["nearest_code"]["log_joint"]) == 3
    assert run("audit", "--run=run", "--limit=3", "--budget=2e4 evaluations", "--json").code == 0
    drawn = run("generate", "--run=run", "--num_samples=5", "--json").json()
    names = {"prior-samples.png", "reconstructions.png", "code-usage.png", "samples.npz"}
    assert {Path(file).name for file in drawn["files"]} == names


def test_another_loss_can_be_asked_for(run: Run, pixels: Path) -> None:
    told = run("train", *DATA, *MODEL, *SMALL, "--training.loss=TraceEnum_ELBO", "--output=run", "--json").json()
    assert told["loss"] == "TraceEnum_ELBO"
    refused = run("train", *DATA, *MODEL, *SMALL, "--training.warmup_epochs=2", "--output=other")
    assert refused.refused("--training.warmup_epochs weighs the KL term, which --training.loss quantized does not have")
