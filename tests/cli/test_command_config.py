"""--config and --print_config: a run's options as a file."""

import json
import re
from pathlib import Path

import pytest

from elbowroom.__main__ import COMMANDS
from toys.commands import Run, metrics
from toys.strict_json import read_json

CHANGED = {
    "train": [
        "--training.epochs=2", "--programs.hidden=[5,4]", "--training.clip_norm=7.5", "--seed=11", "--json",
        "--programs.model=vae", "--programs.options={latent_dim: 3, hidden: [7]}", "--programs.guide_options.floor=0.5",
        "--training.beta=0.5", "--density=made", "--density_options.num_orders=2", "--fit_options={num_epochs: 3}",
    ],
    "evidence": ["--run=elsewhere", "--num_particles=[2,3]", "--limit=4", "--exact=no"],
    "audit": ["--networks.image_shape=[1,8,8]", "--fail-if=gap > 5", "--budget=7.5", "--data.binarize=none"],
    "versus": ["--run=runs/a", "--b.networks.vae=mine:VAE", "--b.data.name=x.npy", "--about=these data"],
    "compare": ["--indices=[3,1]", "--mcmc=false", "--num_draws=7", "--units=bits"],
    "explore": ["--indices=[3,1]", "--max_bytes=1500000", "--limit=9"],
    "generate": ["--num_samples=9", "--which=best"],
    "shard": ["--array=many.npy", "--options={num_samples: 7}", "--engine=one", "--chunk=64", "--dry_run"],
    "merge": ["--shards=there", "--partial"],
    "rivals": ["--rows=[pixels,made]", "--kind=levels", "--limit=9"],
    "demo": ["--epochs=4", "--output=here"],
    "families": ["--json"],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_printed_configuration_reads_back_as_itself(run: Run, folder: Path, command: str) -> None:
    printed = run(command, *CHANGED[command], "--print_config")
    assert printed.code == 0
    (folder / "options.yaml").write_text(printed.out)
    assert run(command, "--config", "options.yaml", "--print_config").out == printed.out
    assert run(command, "--print_config").out != printed.out


def test_later_options_override_the_file(run: Run, folder: Path) -> None:
    (folder / "options.yaml").write_text("training: {epochs: 5, batch_size: 16}\nprograms: {latent_dim: 1}\n")
    printed = run("train", "--config=options.yaml", "--training.epochs=9", "--print_config").out
    assert "epochs: 9" in printed and "batch_size: 16" in printed and "latent_dim: 1" in printed
    printed = run("train", "--training.epochs=9", "--config=options.yaml", "--print_config").out
    assert "epochs: 5" in printed


@pytest.mark.parametrize("text", ["training: {epoch: 5}", "training: {epochs: five}", "[1, 2", "- 3"])
def test_a_bad_file_exits_with_2(run: Run, folder: Path, text: str) -> None:
    (folder / "options.yaml").write_text(text)
    ended = run("train", "--config=options.yaml")
    assert (ended.code, ended.out) == (2, "") and re.fullmatch(
        "elbowroom train: --config options.yaml: .*\n", ended.err
    )


def test_a_run_from_a_file_is_the_run_from_options(run: Run, folder: Path, pixels: Path) -> None:
    options = ["--data.name=pixels.npy", "--training.epochs=2", "--training.batch_size=32", "--programs.hidden=[8]"]
    written = {
        "output": "from-file",
        "data": {"name": "pixels.npy"},
        "training": {"epochs": 2, "batch_size": 32},
        "programs": {"hidden": [8]},
    }
    (folder / "options.json").write_text(json.dumps(written))
    assert run("train", *options, "--output=from-options").code == 0
    assert run("train", "--config=options.json").code == 0
    first, second = (read_json(folder / name / "config.json") for name in ("from-options", "from-file"))
    assert first == second
    assert first["arguments"]["num_epochs"] == 2 and first["record"]["programs"]["hidden"] == [8]
    assert metrics(folder / "from-options") == metrics(folder / "from-file")
    assert len(metrics(folder / "from-file")) == 2
