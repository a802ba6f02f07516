"""Input that cannot be used: exit code 3, one readable message, nothing lost."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import fit
from elbowroom.models import VAE
from toys.commands import SMALL, Run
from toys.strict_json import read_json


def test_grey_values_under_a_bernoulli_likelihood(run: Run, folder: Path) -> None:
    ended = run("train", "--data.binarize=none", "--output=run")
    assert ended.refused(
        "Bernoulli",
        "--data.binarize threshold",
        "--data.binarize static",
        "--data.binarize dynamic",
        "Normal likelihood",
    ), ended
    assert not (folder / "run").exists()


def test_grey_training_data_beside_binary_test_data(run: Run, folder: Path, pixels: Path) -> None:
    x = np.load(pixels).reshape(90, 9)
    np.savez("mixed.npz", train=x[:80] * 0.5, validation=x[80:85], test=x[85:])
    ended = run("train", "--data.name=mixed.npz", "--data.binarize=none", "--output=run")
    assert ended.refused("(train)", "Bernoulli"), ended


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--data.name=mnits",), ("unknown data set 'mnits'", "did you mean mnist?")),
        (("--data.name=mnist",), ("mnist", "ELBOWROOM_DATA")),
        (("--data.name=absent.npy",), ("no such file", "absent.npy")),
        (("--data.dir=nowhere", "--data.name=absent.npy"), ("nowhere",)),
        (("--data.threshold=2",), ("threshold", "2")),
        (("--programs.likelihood=poison",), ("'poison'", "did you mean poisson?")),
        (
            ("--programs.likelihood=poisson", "--data.binarize=threshold"),
            ("--data.binarize threshold", "whole numbers", "--data.binarize none"),
        ),
        (("--programs.activation=sine",), ("sine", "tanh")),
        (("--programs.latent_dim=0",), ("latent_dim", "0")),
        (("--programs.hidden=[0]",), ("hidden", "0")),
        (("--programs.family=ppca", "--data.binarize=static"), ("ppca", "normal-learned", "--data.binarize none")),
        (("--programs.model=vea",), ("--programs.model: got 'vea'", "did you mean vae?")),
        (("--programs.guide=exact",), ("programs.guide: 'exact' does not go with vae; normal, normal-linear",)),
        (("--programs.guide=norml",), ("--programs.guide: got 'norml'", "did you mean normal?")),
        (
            ("--programs.options={latentdim: 3}",),
            ("VAE has no option 'latentdim' (did you mean 'latent_dim'?)", "hidden=None, likelihood='bernoulli'"),
        ),
        (("--programs.guide_options.widths=[3]",), ("AmortizedNormal has no option 'widths'", "floor=1e-06")),
        (("--programs.guide=normal-linear", "--programs.guide_options.hidden=[3]"), ("no option 'hidden'",)),
        (("--programs.guide=normal-linear", "--programs.encoder_hidden=[3]"), ("encoder_hidden: got [3]", "nothing")),
        (("--programs.family=ppca", "--programs.hidden=[3]"), ("hidden: got [3]", "nothing")),
        (("--programs.family=ppca", "--programs.model=vae"), ("programs.family ppca and programs.model vae",)),
        (("--programs.options={likelihood: normal}",), ("likelihood: got 'normal'", "did you mean 'normal-fixed'")),
        (("--programs.datum=labelled",), ("programs.datum is for a model of your own; a datum of vae is binary",)),
        (("--training.epochs=0",), ("--training.epochs must", "got 0")),
        (("--training.batch_size=-1",), ("batch_size", "-1")),
        (("--training.learning_rate=-0.1",), ("learning_rate", "-0.1")),
        (("--training.schedule=linear",), ("schedule", "linear", "cosine")),
        (("--training.beta=0",), ("beta", "0")),
        (("--training.optimizer=adamw",), ("optimizer", "'adamw'", "did you mean AdamW?")),
        (("--training.kl_weight=cyclic",), ("kl_weight", "did you mean cyclical?")),
        (
            ("--training.patience=2", "--training.warmup_epochs=999"),
            ("--training.patience 2", "warm-up", "a shorter --training.warmup_epochs"),
        ),
        (("--training.loss=ELBO",), ("loss", "'ELBO'", "did you mean Trace_ELBO?")),
        (("--training.loss=RenyiELBO",), ("RenyiELBO", "num_particles")),
        (("--seed=-1",), ("seed", "-1")),
    ],
    ids=lambda value: " ".join(value) if "=" in value[0] else "",
)
def test_options_of_train(run: Run, folder: Path, options: tuple[str, ...], told: tuple[str, ...]) -> None:
    ended = run("train", "--output=run", *options)
    assert ended.refused(*told), ended
    assert not (folder / "run").exists()


def test_no_gpu(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (("train", "--output=new"), *((c, f"--run={trained}") for c in ("evidence", "compare", "generate"))):
        assert run(*command, "--device=cuda").refused("device cuda", "--device cpu"), command
    assert not Path("new").exists()


def test_a_directory_that_is_not_empty(run: Run, folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "thesis.tex").write_text("years of work")
    for options, told in (((), "is not empty"), (("--resume",), "holds other files")):
        assert run("train", *SMALL, "--output=run", *options).refused(f"--output run {told}")
    assert [path.name for path in (folder / "run").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("command", ["evidence", "compare", "generate"])
class TestRunDirectories:
    """What is not a run, or is one no more."""

    def test_nothing_there(self, run: Run, folder: Path, command: str) -> None:
        assert run(command, "--run=nowhere").refused("no run at nowhere", "elbowroom train --output nowhere")

    def test_a_run_of_fit_alone(self, run: Run, folder: Path, command: str) -> None:
        x = torch.randint(0, 2, (20, 9)).float()
        fit(VAE(9, 2, (4,)), AmortizedNormal(9, 2, (4,)), x, num_epochs=1, run_dir="by-hand", progress=False)
        assert run(command, "--run=by-hand").refused("not written by elbowroom train", "load_checkpoint")

    @pytest.mark.parametrize("text", ['{"record": ', "[]", '"record"', '{"record": {"format": 1}}'])
    def test_a_damaged_config(self, run: Run, trained: Path, command: str, text: str) -> None:
        (trained / "config.json").write_text(text)
        assert run(command, f"--run={trained}").refused(str(trained / "config.json"))

    def test_options_of_another_version(self, run: Run, trained: Path, command: str) -> None:
        config = read_json(trained / "config.json")
        config["record"]["programs"]["flavour"] = "strange"
        (trained / "config.json").write_text(json.dumps(config))
        assert run(command, f"--run={trained}").refused("config.json", "flavour")

    def test_a_tampered_checkpoint(self, run: Run, trained: Path, command: str) -> None:
        file = next((trained / "checkpoints").glob("*/parameters.safetensors"))
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        assert run(command, f"--run={trained}").refused("parameters.safetensors", "sha256")

    def test_a_missing_checkpoint(self, run: Run, trained: Path, command: str) -> None:
        (trained / "last.json").unlink()
        assert run(command, f"--run={trained}").refused(str(trained), "checkpoint")

    def test_other_data_than_it_was_trained_on(self, run: Run, trained: Path, command: str) -> None:
        file = trained.parent / "pixels.npy"
        np.save(file, 1 - np.load(file))
        assert run(command, f"--run={trained}").refused("pixels.npy", "sha256 differs")

    def test_data_that_are_gone(self, run: Run, trained: Path, command: str) -> None:
        (trained.parent / "pixels.npy").unlink()
        assert run(command, f"--run={trained}").refused("no such file", "pixels.npy")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--limit=0",), ("limit", "0")),
        (("--num_samples=0",), ("num_samples", "0")),
        (("--num_particles=[0]",), ("num_particles", "0")),
        (("--memory_mib=0",), ("memory",)),
    ],
)
def test_options_of_evidence(run: Run, trained: Path, options: tuple[str, ...], told: tuple[str, ...]) -> None:
    assert run("evidence", f"--run={trained}", *options).refused(*told)
    assert not (trained / "evidence.json").exists()


def test_a_lattice_in_four_dimensions(run: Run, folder: Path, pixels: Path) -> None:
    four = ("--programs.latent_dim=4", "--data.name=pixels.npy", *SMALL)
    assert run("train", *four, "--output=run").code == 0
    samples = ("--num_samples=50", "--num_particles=[5]")
    assert run("evidence", "--run=run", *samples, "--exact=yes").refused("quadrature", "at most 3 latent dimensions")
    assert "exact" not in run("evidence", "--run=run", *samples, "--json").json()["data"][0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--indices=[9]",), ("indices", "9 data (test)", "0 … 8", "[9]")),
        (("--indices=[-1]",), ("indices", "[-1]")),
        (("--indices=[1,1]",), ("indices", "different", "[1, 1]")),
        (("--indices=[]",), ("indices", "[]")),
        (("--num_chains=0",), ("num_chains", "0")),
    ],
)
def test_options_of_compare(run: Run, trained: Path, options: tuple[str, ...], told: tuple[str, ...]) -> None:
    ended = run("compare", f"--run={trained}", "--indices=[0]", *options)
    assert ended.refused(*told), ended
    assert not (trained / "compare").exists()


def test_options_of_generate(run: Run, trained: Path) -> None:
    assert run("generate", f"--run={trained}", "--num_samples=0").refused("num_samples", "0")
