"""Disks that are full, and places that cannot be written: told before the work, with the remedy; nothing is lost."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from elbowroom import __main__
from elbowroom.__main__ import COMMANDS
from elbowroom.commands.outputs import OUTPUTS, folder_of
from elbowroom.inference.saving import durable
from elbowroom.inference.saving.one_writer import only_writer
from toys.commands import ELBOWROOM, SMALL, Run

OF_A_RUN = {
    "evidence": ("evidence", "--run=run"),
    "bracket": ("evidence", "--run=run", "--method=bracket", "--budget=1e6 evaluations"),
    "generate": ("generate", "--run=run"),
    "compare": ("compare", "--run=run", "--indices=0", "--mcmc=false"),
    "audit": ("audit", "--run=run", "--limit=4", "--budget=2e4 evaluations", "--num_simulations=20"),
    "explore": ("explore", "--run=run", "--limit=3", "--budget=3e4 evaluations"),
    "versus": ("versus", "--run=run", "--run=other", "--budget=1e5 evaluations"),
}
TRAIN = ("train", "--data.name=pixels.npy", *SMALL)
SLOW = ("generate", "compare", "audit", "explore", "versus")


def kept(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_command_with_an_output_is_tried() -> None:
    assert set(OUTPUTS) == {name for name, of in COMMANDS.items() if "output" in {f.name for f in fields(of)}}


@pytest.mark.parametrize("command", OUTPUTS)
def test_what_is_in_the_way_is_told_before_the_work(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def work(name: str) -> None:
        raise AssertionError(f"{name} was begun")

    monkeypatch.setattr(__main__, "import_module", work)
    Path("file").write_text("mine")
    of = {"versus": ("--run=run", "--run=elsewhere/run"), "train": TRAIN[1:], "demo": (), "rivals": ()}
    if command == "versus":
        shutil.copytree("run", "elsewhere/run")
    typed = (command, *of.get(command, ("--run=run",)))
    first = OUTPUTS[command][0]
    for output in ("file", "file/deep"):
        ended = run(*typed, f"--output={output}")
        assert ended.refused(f"cannot write {output}/{first}: file is no directory; remove or rename it, or give")
    if command != "train":  # which wants a folder of its own
        (Path("folder") / OUTPUTS[command][-1]).mkdir(parents=True)
        assert run(*typed, "--output=folder").refused(f"folder/{OUTPUTS[command][-1]}: Is a directory; remove or")
    assert run(*typed, f"--output={'n' * 300}").refused("File name too long; give a shorter name")
    assert Path("file").read_text() == "mine" and not Path("n" * 300).parent.joinpath("deep").exists()


def test_where_a_command_writes_if_it_is_not_told() -> None:
    parser = {name: COMMANDS[name]() for name in ("evidence", "audit", "rivals")}
    assert folder_of("evidence", parser["evidence"]) == Path("runs/latest")
    assert folder_of("audit", parser["audit"]) == Path("runs/latest/audit")
    assert folder_of("rivals", parser["rivals"]) is None
    own = COMMANDS["evidence"](model="a:b", guide="a:c")
    assert folder_of("evidence", own) == Path("evidence")


def full_after(whole: int) -> Callable[[int, bytes], None]:
    """So many files fit, of the next one half."""
    fill, left = durable._fill, [whole]

    def half(descriptor: int, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.write(descriptor, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fill(descriptor, content)

    return half


@pytest.mark.parametrize("what", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in OF_A_RUN])
def test_a_full_disk_loses_nothing(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    shutil.copytree("run", "other")
    typed = (*OF_A_RUN[what], "--output=out")
    assert run(*typed).code == 0
    before = kept(Path("out"))
    for whole in (0, 1):
        with monkeypatch.context() as patch:
            patch.setattr(durable, "_fill", full_after(whole))
            ended = run(*typed)
        if whole == 0 or ended.code:  # of evidence there is one file
            assert ended.refused(
                "cannot write out/", "No space left on device (it needs ", "are free); free some space"
            )
        assert kept(Path("out")).keys() == before.keys()
        if whole == 0:
            assert kept(Path("out")) == before


@pytest.mark.parametrize("density", [False, True])
def test_training_on_a_full_disk(
    run: Run, folder: Path, pixels: Path, monkeypatch: pytest.MonkeyPatch, density: bool
) -> None:
    typed = ("train", "--data.name=pixels.npy", "--density=rbm", "--fit_options.num_epochs=1") if density else TRAIN
    with monkeypatch.context() as patch:
        patch.setattr(durable, "_fill", full_after(1))
        ended = run(*typed, "--output=out")
    assert ended.refused("No space left on device (it needs ", "are free); free some space")
    assert not [path for path in Path("out").rglob("*") if path.name.endswith((".tmp", ".lock"))]


@pytest.mark.parametrize("what", ["train", "bracket"])
def test_a_second_command_is_refused(run: Run, trained: Path, what: str) -> None:
    place = Path("busy") if what == "train" else Path("out/evidence-last-test-0.state.safetensors")
    with only_writer(place, "state", folder=what == "train"):
        typed = (*TRAIN, "--output=busy", "--resume") if what == "train" else (*OF_A_RUN["bracket"], "--output=out")
        ended = run(*typed)
    assert ended.refused("is in use: this process", "since 20", "or give another place")
    assert ("--output busy is in use" in ended.err) == (what == "train")


@pytest.mark.slow
def test_a_result_that_cannot_be_printed(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "elbowroom", "families"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 3 and ended.stderr.startswith("elbowroom: cannot print all of it: No space left")


@contextmanager
def small_disk(place: Path) -> Iterator[Callable[[int], None]]:
    """A disk of 4 MiB at a place; what is yielded leaves so many bytes of it free."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here ({mounted.stderr.decode().strip()})")

    def leave(free: int) -> None:
        (place / "filler").unlink(missing_ok=True)
        (place / "filler").write_bytes(b"\0" * (shutil.disk_usage(place).free - free))

    try:
        yield leave
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("what", [*OF_A_RUN, "train"])
def test_a_small_disk_that_is_really_full(run: Run, trained: Path, what: str) -> None:
    """With no byte left, and with one page: of a real disk, by processes of their own."""
    shutil.copytree("run", "other")
    typed = (*TRAIN, "--output=disk/out") if what == "train" else (*OF_A_RUN[what], "--output=disk/out")
    with small_disk(Path("disk")) as leave:
        assert subprocess.run([ELBOWROOM, *typed], capture_output=True, check=False).returncode == 0
        before = kept(Path("disk"))
        again = [*typed, "--resume", "--training.epochs=5"] if what == "train" else [*typed, "--seed=1"]
        for free in (0, 4096):
            leave(free)
            ended = subprocess.run([ELBOWROOM, *again], capture_output=True, text=True, check=False)
            told = ended.stderr.splitlines()[-1]
            assert ended.returncode == 3 and "cannot write disk/out/" in told and "free some space" in told, ended
            assert (
                re.search(r"No space left on device \(it needs (more than )?[\d,]+ bytes, ", told)
                and "are free)" in told
            )
            after = kept(Path("disk"))
            del after[Path("disk/filler")]
            assert {path: after.get(path) for path in before} == before
            assert not [path for path in after if path.name.endswith((".tmp", ".lock"))]
        (Path("disk") / "filler").unlink()
        assert subprocess.run([ELBOWROOM, *again], capture_output=True, check=False).returncode == 0
