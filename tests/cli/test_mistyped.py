"""What people mistype: one line each, in the words of the command line, with what was meant, before any work."""

import re
from pathlib import Path

import pytest

from elbowroom import __main__, datasets
from elbowroom.commands.arguments import names
from elbowroom.commands.arguments.errors import in_words, translated
from elbowroom.commands.arguments.names import NAMES
from elbowroom.commands.arguments.spelling import nearest
from elbowroom.commands.options import AuditOptions, TrainOptions
from elbowroom.inference.training import OBJECTIVES
from elbowroom.inference.training.optimiser import OPTIMIZERS
from elbowroom.inference.training.schedule import KL_WEIGHTS, SCHEDULES
from elbowroom.models.likelihoods import LIKELIHOODS
from elbowroom.networks import ACTIVATIONS
from toys.commands import Run

NETWORKS = "audit --networks.vae a:b"
MISTYPED = [
    ("trian", "did you mean train?"),
    ("adit --run runs/a", "did you mean audit?"),
    ("Evidence", "did you mean evidence?"),
    ("--json train", "a command comes first"),
    ("train --programs.hiden 64", "--programs.hiden: no such option; did you mean --programs.hidden?"),
    ("train --program.hidden 64", "did you mean --programs.hidden?"),
    ("train --hidden 64", "did you mean --programs.hidden?"),
    ("train --epochs 3", "did you mean --training.epochs?"),
    ("train --epoch 3", "did you mean --training.epochs?"),
    ("train --training.lerning-rate 1e-3", "did you mean --training.learning_rate?"),
    ("train --trainig.loss IWAE", "did you mean --training.loss?"),
    ("train --latent_dims 3", "did you mean --programs.latent_dim?"),
    ("train --ouput a", "did you mean --output?"),
    ("train --sead 3", "did you mean --seed?"),
    ("train --dataset mnist", "did you mean --data"),
    ("train -output a", "options begin with two dashes; did you mean --output?"),
    ("train output=a", "did you mean --output?"),
    ("train --fail_if gap>5", "no option of train, but of audit"),
    ("train --data digits", "did you mean --data.name digits?"),
    ("train --programs.hidden 64 64", "--programs.hidden takes a list with commas, such as 64,64"),
    ("train --programs.hidden wide", "expected whole numbers such as 64,64"),
    ("train --training.epochs many", "expected a whole number"),
    ("train --training.epochs 1.5", "expected a whole number"),
    ("train --training.learning_rate fast", "expected a number"),
    ("train --data.binarize treshold", "did you mean threshold?"),
    ("train --programs.family vea", "did you mean vae?"),
    ("train --density mad", "did you mean made?"),
    ("train --resume flase", "did you mean false?"),
    ("train --device gpu", "expected cpu or cuda"),
    ("train --seed", "--seed: needs a value"),
    ("train --programs.options 3", "'{latent_dim: 10}'"),
    ("train --config absent.yaml", "--config absent.yaml: no such file"),
    ("train --data.name mnits", "did you mean mnist?"),
    ("train --data.name fashon-mnist", "did you mean fashion-mnist?"),
    ("train --data.name pixel.npy", "no such file: pixel.npy; did you mean pixels.npy?"),
    ("train --programs.model conv-vea", "did you mean conv-vae?"),
    ("train --programs.guide norml", "did you mean normal?"),
    ("train --programs.likelihood bernouli", "did you mean bernoulli?"),
    ("train --programs.activation sofplus", "did you mean softplus?"),
    ("train --training.optimizer adamw", "did you mean AdamW?"),
    ("train --training.schedule cosin", "did you mean cosine?"),
    ("train --training.kl_weight cyclic", "did you mean cyclical?"),
    ("train --training.loss IWEA", "did you mean IWAE?"),
    ("train --training.loss ELBO", "did you mean Trace_ELBO?"),
    ("evidence --num_samples 1.5e0", "expected a whole number"),
    ("evidence --num_particles 5;50", "expected whole numbers such as 64,64"),
    ("evidence --method braket", "did you mean bracket?"),
    ("evidence --splt test", "did you mean --split?"),
    ("evidence --run rnus/latest", "did you mean --run runs/latest?"),
    ("evidence --run runs/lates", "did you mean --run runs/latest?"),
    ("evidence --run runs", "did you mean --run runs/latest?"),
    ("evidence --run nowhere", "train one with elbowroom train --output nowhere"),
    ("compare --data 3", "did you mean --indices 3?"),
    ("compare --indices 3,x", "expected whole numbers"),
    ("compare --num_warmups 3", "did you mean --num_warmup?"),
    ("audit --split tets", "did you mean test?"),
    ("audit --budget ten", "--budget: got 'ten', expected seconds, or '2e5 evaluations'"),
    ("audit --budget=2e5_evalutions", "expected seconds, or '2e5 evaluations'"),
    (f"{NETWORKS} --networks.sigma optimum", "did you mean optimal?"),
    (f"{NETWORKS} --networks.latent_dim two", "expected a whole number or whole numbers such as 64,64"),
    (f"{NETWORKS} --networks.likelihood bernoulli --networks.chekpoint a", "did you mean --networks.checkpoint?"),
    (f"{NETWORKS} --networks.checkpoint weight.pt", "no such file; did you mean weights.pt?"),
    ("generate --num_sample 3", "did you mean --num_samples?"),
    ("rivals --kind binari", "did you mean binary?"),
    ("demo --epocs 3", "did you mean --epochs?"),
    ("families --jsn", "did you mean --json?"),
    ("train --training.batch_size 0", "--training.batch_size must be a number from 1 to 10^9, got 0"),
    ("train --training.learning_rate=-0.1", "--training.learning_rate must be a number from 10^-18 to 10^18, got -0.1"),
    ("train --seed -1", "--seed must be a number from 0 to 2^63 - 1, got -1"),
    ("evidence --limit 0", "--limit must be a number from 1 to 10^9, got 0"),
    ("evidence --num_particles 5,0", "--num_particles must be a number from 1 to 10^9, got 0"),
    ("audit --budget 0", "--budget must be a number > 0 and at most 10^7, got 0"),
]


@pytest.fixture
def places(folder: Path) -> Path:
    """A run, data and weights by name; nothing of them is read."""
    (folder / "runs" / "latest").mkdir(parents=True)
    for name in ("runs/latest/config.json", "pixels.npy", "weights.pt"):
        (folder / name).touch()
    return folder


@pytest.fixture(autouse=True)
def _no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*given: object, **options: object) -> int:
        raise AssertionError("work was begun")

    monkeypatch.setattr(__main__, "_guarded", work)


@pytest.mark.parametrize(("typed", "told"), MISTYPED, ids=[typed for typed, _ in MISTYPED])
def test_one_line_with_what_was_meant(run: Run, places: Path, typed: str, told: str) -> None:
    ended = run(*typed.split())
    assert ended.code in (2, 3) and ended.out == "" and told in ended.err, ended
    command = "" if told.startswith("a command") or typed[0] == "E" or "did you mean audit" in told else " ?[a-z]*"
    assert re.fullmatch(f"elbowroom{command}: .{{1,200}}\n", ended.err), "one line"
    assert not re.search("Traceback|class|Union|usage|Parser|run_dir", ended.err)


def test_there_are_forty() -> None:
    assert len(MISTYPED) > 40


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("--programs.hidden 64,64", "hidden:\n  - 64\n  - 64\n"),
        ("--programs.hidden [64,64]", "hidden:\n  - 64\n  - 64\n"),
        ("--programs.hidden 64", "hidden:\n  - 64\n"),
        ("--training.epochs 1e3", "epochs: 1000\n"),
        ("--training.epochs 1_000", "epochs: 1000\n"),
        ("--training.learning-rate 1e-3", "learning_rate: 0.001\n"),
        ("--training.clip_norm none", "clip_norm: null\n"),
        ("--seed 3 --json", "json: true\n"),
        ("--resume", "resume: true\n"),
        ("--programs.options.latent_dim=3", "latent_dim: 3\n"),
        ("--data {name:\tmnist}", "name: mnist\n"),
    ],
)
def test_what_is_typed_in_many_ways_is_read(run: Run, folder: Path, typed: str, read: str) -> None:
    words = [word.replace("\t", " ") for word in typed.split(" ")]
    shown = run("train", *words, "--print_config")
    assert shown.code == 0 and read in re.sub(r"(?m)^ +(?=\w)", "", shown.out).replace("    -", "  -"), shown


def test_names_known_without_torch_are_those_of_the_registries() -> None:
    known = {
        "programs.likelihood": LIKELIHOODS, "networks.likelihood": LIKELIHOODS, "programs.activation": ACTIVATIONS,
        "training.optimizer": OPTIMIZERS, "training.schedule": SCHEDULES, "training.kl_weight": KL_WEIGHTS,
        "training.loss": OBJECTIVES,
    }  # fmt: skip
    assert {option: set(NAMES[option]) for option in known} == {option: set(all_) for option, all_ in known.items()}
    assert set(names.DATA_SETS) == set(datasets.NAMES)


def test_the_nearest_name() -> None:
    assert nearest("elbo", ["RenyiELBO", "Trace_ELBO"]) == "RenyiELBO", "the first that has it inside"
    assert (nearest("gapp", ["gap", "gap_median"]), nearest("xyz", ["gap"])) == ("gap", None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("run_dir=a is not empty: use resume=True", "--output a is not empty: use --resume"),
        ("num_epochs must be an integer >= 1, got 0", "--training.epochs must be an integer >= 1, got 0"),
        ("load the data with binarize='none'", "load the data with --data.binarize none"),
        ("a shorter warmup_epochs, patience=None", "a shorter --training.warmup_epochs, --training.patience null"),
        ("output must be a name", "--output must be a name"),
        ("the output of it", "the output of it"),
    ],
)  # fmt: skip
def test_arguments_are_said_as_options(said: str, told: str) -> None:
    assert translated(said, TrainOptions) == told


def test_traces_and_installed_paths_are_left_out() -> None:
    error = ValueError("sizes differ\n   Trace Shapes:\n  Param Sites:\n  many lines")
    assert in_words(error, AuditOptions) == "sizes differ (--traceback shows all of it)"
    error = ValueError("at /usr/lib/python3/site-packages/torch/nn.py, line 3")
    assert in_words(error, AuditOptions) == "at torch/nn.py, line 3"
    assert len(in_words(ValueError("A sentence. " * 300), AuditOptions)) < 700
