"""Run directories of strangers: damaged at random 200 times, and built with intent; nothing silent, nothing run.

A sample in the quick tests; all of it under `-m slow`, where the counts are printed.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toys.commands import SMALL, Run, metrics, parameters
from toys.forged import edited, of_before, resealed
from toys.mutations import mutated

EVIDENCE = ("--limit=2", "--num_samples=20", "--num_particles=[5]", "--exact=no", "--json")
RESUME = ("train", "--data.name=pixels.npy", "--training.epochs=4", *SMALL[1:], "--output=run", "--resume", "--json")
NEEDS = 2**30  # bytes of memory, at most
EVIL = "import pathlib\npathlib.Path({marker!r}).touch()\ndef model(x): pass\n"


def everything(place: Path) -> dict[str, str]:
    """Each file below a folder by its digest."""
    files = [path for path in place.rglob("*") if path.is_file()]
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def numbers(run: Run, path: Path) -> Any:
    ended = run("evidence", f"--run={path}", *EVIDENCE)
    return ended.json()["data"] if ended.code == 0 and not ended.err else ended


def trained_on(run: Run, path: Path) -> Any:
    ended = run(*RESUME)
    if ended.code or ended.err:
        return ended
    return [{name: value.tolist() for name, value in parameters(path).items()}, metrics(path)]


@pytest.mark.parametrize("number", [12, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ask", [numbers, trained_on], ids=["evidence", "resume"])
def test_a_damaged_run_is_refused_or_answers_as_before(
    run: Run, trained: Path, ask: Callable[[Run, Path], Any], number: int
) -> None:
    shutil.copytree(trained, "kept")
    expected, before, counts = ask(run, trained), peak(), Counter[str]()
    for seed in range(number):
        shutil.rmtree(trained)
        shutil.copytree("kept", trained)
        files = sorted(path for path in trained.rglob("*") if path.is_file() and path.name != "result.json")
        done = mutated(files, random.Random(seed))
        found = ask(run, trained)
        if found == expected:
            counts["same"] += 1
            continue
        told = getattr(found, "err", "")
        assert getattr(found, "code", 0) == 3 and "Traceback" not in told and told.count("\n") == 1, (seed, done, found)
        names = done.split(" and ") if done.startswith("swap") else [done]
        counts["named" if any(name.split(" at ")[0].split()[-1] in told for name in names) else "other named"] += 1
    print(f"\n{number} mutations, {ask.__name__}: {dict(counts)}, {(peak() - before) / 2**20:.0f} MiB more")
    assert peak() - before < NEEDS


def test_code_that_a_run_names_is_not_imported(
    run: Run, trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no command, from nowhere, until it is trusted; and from the run directory not even then."""
    marker = folder / "code-ran"
    resealed(trained, lambda config: config["record"]["programs"].update(model="evil:model", guide="evil:model"))
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))
    shutil.copy(folder / "evil.py", trained / "evil.py")
    for command in ("evidence", "audit", "explore", "compare", "generate"):
        ended = run(command, f"--run={trained}")
        told = f"--run: {trained}/config.json names programs", "evil:model would be imported", "--trust evil:model"
        assert ended.refused(*told), ended
    assert run("versus", "--run=run", f"--run={trained}").refused("evil:model", "--trust evil:model")
    assert run("evidence", "--run=run", "--trust=evi,evil:mode").refused("--trust evil:model")
    monkeypatch.chdir(trained)
    found = run("evidence", "--run=.", "--trust=evil", f"--data.dir={folder}")
    assert found.refused("no module 'evil'", "nothing is imported from a run")
    assert not marker.exists()
    monkeypatch.chdir(folder)
    assert run("evidence", "--run=run", "--trust=evil").code == 3 and marker.exists()
    assert run("versus", "--run=run", "--run=run2", "--trust=evil").code == 3


def test_programs_that_are_named_anew_need_no_trust(run: Run, pixels: Path, programs: Path) -> None:
    told = run("evidence", "--model=mine:model", "--guide=mine:guide", "--trust=mine", "--data.name=pixels.npy")
    assert told.refused("--trust: got programs or networks, which need none")


def test_another_activation_is_noticed(run: Run, trained: Path) -> None:
    before = (trained / "config.json").read_text()
    (trained / "config.json").write_text(before.replace('"softplus"', '"silu"'))
    assert run("evidence", "--run=run", *EVIDENCE).refused("config.json is missing or damaged", "sha256")
    (trained / "config.json").write_text(json.dumps(json.loads(before)))  # the same, laid out in another way
    assert numbers(run, trained) is not None


def test_a_run_of_before_there_were_digests_is_told(run: Run, trained: Path) -> None:
    of_before(trained)
    ended = run("evidence", "--run=run", *EVIDENCE)
    assert any("kept no digest of config.json" in said for said in ended.json()["announced"])


def test_data_may_lie_in_another_place(run: Run, trained: Path, folder: Path) -> None:
    expected = numbers(run, trained)
    (folder / "moved").mkdir()
    (folder / "pixels.npy").rename(folder / "moved" / "pixels.npy")
    assert run("evidence", "--run=run", *EVIDENCE).refused("pixels.npy")
    assert run("evidence", "--run=run", "--data.dir=moved", *EVIDENCE).json()["data"] == expected
    assert run("evidence", "--run=run", "--data.limit=3", *EVIDENCE).refused("--data: got", "only --data.dir")


def _programs(**changed: Any) -> Callable[[Path, Path], object]:
    return lambda run, outside: resealed(run, lambda config: config["record"]["programs"].update(**changed))


def _data(**changed: Any) -> Callable[[Path, Path], object]:
    def build(run: Path, outside: Path) -> None:
        with open(run / "huge.npy", "wb") as file:
            shape = (5 * 10**12, 9)
            np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
        resealed(run, lambda config: config["record"]["data"].update(**changed))

    return build


def _file(name: str, content: bytes) -> Callable[[Path, Path], object]:
    return lambda run, outside: (run / name).write_bytes(content)


def _link(name: str, to: str) -> Callable[[Path, Path], object]:
    def build(run: Path, outside: Path) -> None:
        place = run / name
        if place.is_dir():
            shutil.copytree(place, outside / to, dirs_exist_ok=True)
            shutil.rmtree(place)
        elif place.exists():
            shutil.copy(place, outside / to)
            place.unlink()
        place.symlink_to(outside / to)

    return build


def _of_checkpoint(name: str, content: bytes, size: int | None = None) -> Callable[[Path, Path], object]:
    def build(run: Path, outside: Path) -> None:
        place = next((run / "checkpoints").iterdir())
        (place / name).write_bytes(content)
        if size is None:
            return resealed(run) if name != "manifest.json" else _point(run, content)
        os.truncate(place / name, size)
        return None

    return build


def _point(run: Path, manifest: bytes) -> None:
    edited(run / "last.json", lambda old: old.update(manifest_sha256=hashlib.sha256(manifest).hexdigest()))


def _pipe(run: Path, outside: Path) -> None:
    (run / "last.json").unlink()
    os.mkfifo(run / "last.json")


def _forged_shapes(run: Path, outside: Path) -> None:
    """A file of 36 GB, which takes no room on the disk, whose header, config.json and programs agree."""
    header = {"model.decoder.layers.0.weight": {"dtype": "F32", "shape": [10**9, 9], "data_offsets": [0, 36 * 10**9]}}
    text = json.dumps(header).encode()
    place = next((run / "checkpoints").iterdir())
    resealed(run, lambda config: (
        config.update(parameters={"model.decoder.layers.0.weight": {"shape": [10**9, 9], "dtype": "float32"}}),
        config["record"]["programs"].update(hidden=[10**9]),
    ))  # fmt: skip
    (place / "parameters.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(place / "parameters.safetensors", 8 + len(text) + 36 * 10**9)


def _modules(run: Path, outside: Path) -> None:
    for name in ("yaml", "torch", "numpy", "xarray", "mine", "sitecustomize", "elbowroom"):
        (run / f"{name}.py").write_text(EVIL.format(marker=str(outside.parent / "code-ran")))
    _programs(model="mine:model", guide="mine:model")(run, outside)


STATE = "evidence-last-test-2-0.state.safetensors"
HOSTILE: dict[str, Callable[[Path, Path], object]] = {
    "kills the process": _programs(model="os:abort", guide="os:abort"),
    "kills by the guide": _programs(guide="os:abort"),
    "modules of its own": _modules,
    "wide": _programs(hidden=[10**9]),
    "wide within the limit": _programs(hidden=[10**7], encoder_hidden=[10**7]),
    "deep": _programs(hidden=[1] * 100_000),
    "many latents": _programs(latent_dim=10**7),
    "options": _programs(model="vae", options={"hidden": [10**7, 10**7], "latent_dim": 10**6}),
    "types": _programs(hidden="64", latent_dim=[2], options=[1]),
    "a program that is none": _programs(family="__class__"),
    "shapes that agree": _forged_shapes,
    "brackets": _file("last.json", b"[" * 100_000),
    "brackets in config": _file("config.json", b'{"record":' * 100_000),
    "a list": _file("config.json", b"[]"),
    "a manifest that is a list": _of_checkpoint("manifest.json", b"[]"),
    "a manifest that is a number": _of_checkpoint("manifest.json", b"5"),
    "a manifest that leads out": _of_checkpoint(
        "manifest.json", b'{"../../../outside/precious": "x", "progress.json": "y"}'
    ),
    "a pointer that leads out": _file("last.json", b'{"checkpoint": "../../outside", "manifest_sha256": "x"}'),
    "a pipe": _pipe,
    "a pickle": _of_checkpoint("parameters.safetensors", b"\x80\x04cos\nsystem\n."),
    "a header without end": _of_checkpoint("parameters.safetensors", (2**60).to_bytes(8, "little") + b"{}"),
    "4 TB": _of_checkpoint("parameters.safetensors", b"", 4 * 10**12),
    "a progress of other types": _of_checkpoint("progress.json", b'{"metrics_bytes": "x", "epoch": []}'),
    "data of 40 TB": _data(name="run/huge.npy"),
    "data without end": _data(name="/dev/zero"),
    "metrics elsewhere": _link("metrics.jsonl", "precious"),
    "checkpoints elsewhere": _link("checkpoints", "."),
    "figures elsewhere": _link("generate", "."),
    "results elsewhere": _link("evidence.json", "precious"),
    "config elsewhere": _link("config.json", "precious"),
    "a state elsewhere": _link(STATE, "precious"),
    "a temporary file elsewhere": _link(f".{STATE}.tmp", "precious"),
}


@pytest.mark.parametrize("what", [
    pytest.param(name, marks=() if i % 4 == 0 else pytest.mark.slow) for i, name in enumerate(HOSTILE)
])  # fmt: skip
def test_a_hostile_directory_harms_nobody(
    run: Run, trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Opened, asked for pictures, and resumed: it answers, or is refused in one line; what lies outside stays."""
    outside = folder / "outside"
    (outside / "mine").mkdir(parents=True)
    for name in ("precious", "generate.json", "samples.png", "mine/deep"):
        (outside / name).write_text("mine")
    HOSTILE[what](trained, outside)
    before, memory, begin = everything(outside), peak(), time.process_time()
    commands = [
        ("evidence", "--run=run", *EVIDENCE),
        ("evidence", "--run=run", "--limit=2", "--method=bracket", "--budget=50 evaluations"),
        ("generate", "--run=run", "--num_samples=2"),
        RESUME,
    ]
    for command in commands:
        ended = run(*command)
        assert ended.code in (0, 3) and "Traceback" not in ended.err, ended
        assert ended.code == 0 or ended.err.count("\n") == 1, ended
    monkeypatch.chdir(trained)
    assert run("evidence", "--run=.", f"--data.dir={folder}", *EVIDENCE).code in (0, 3)
    assert everything(outside) == before and not (folder / "code-ran").exists()
    print(f"\n{what}: {(peak() - memory) / 2**20:.0f} MiB, {time.process_time() - begin:.1f} s")
    assert peak() - memory < NEEDS and time.process_time() - begin < 60
    assert torch.get_default_dtype() is torch.float32
