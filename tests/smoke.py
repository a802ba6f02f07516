"""Whether an installed elbowroom works: every public name, and each question once against a known answer.

`python tests/smoke.py` runs on whatever elbowroom this Python has, beside whatever torch, in about a minute. It is no
test of the numbers, which the test suite is; it is what to run on a wheel before others do.
"""

import json
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "networks",
    "models",
    "guides",
    "inference",
    "densities",
    "adapters",
    "rivals",
    "datasets",
    "reference",
    "report",
)
SHOWN = ("torch", "numpy", "scipy", "pyro-ppl", "arviz", "xarray", "matplotlib", "jsonargparse")
SIGMAS = 5.0  # some 60 comparisons: one run of 30 000 would fail by chance


def public_names(folder: Path) -> str:
    """Every name in every `__all__` is there: names load their files when they are first used."""
    names = [(package, name) for package in PACKAGES for name in import_module(f"elbowroom.{package}").__all__]
    for package, name in names:
        getattr(import_module(f"elbowroom.{package}"), name)
    return f"{len(names)} names"


@cache
def trained() -> tuple[Any, Any, Any, Any]:
    """A VAE of two latents after a few epochs on the embedded digits, and how it was trained."""
    from elbowroom.datasets import load
    from elbowroom.guides import AmortizedNormal
    from elbowroom.inference import fit
    from elbowroom.models import VAE

    torch.manual_seed(0)
    data = load("digits", binarize="threshold")
    model, guide = VAE(64, 2, (16,)), AmortizedNormal(64, 2, (16,))
    fitted = fit(
        model, guide, data.train, validation=data.validation, num_epochs=8, batch_size=128, learning_rate=1e-2,
        progress=False,
    )  # fmt: skip
    return model.eval(), guide.eval(), data.test[:12], fitted


def training(folder: Path) -> str:
    """The ELBO of held-out data rises."""
    elbo = [row["elbo"] for row in trained()[3].history if "elbo" in row]
    check(elbo[-1] > elbo[0] + 1, f"the ELBO went from {elbo[0]:.2f} to {elbo[-1]:.2f}")
    return f"ELBO {elbo[0]:.1f} to {elbo[-1]:.1f} nats"


def exact_evidence(folder: Path) -> str:
    """With the posterior as guide every weight is log p(x); a lattice finds it from a mediocre guide."""
    from elbowroom.inference import importance, quadrature
    from elbowroom.reference import problem

    exact, mean_field = problem("ppca"), problem("ppca-mean-field")
    weighed = (importance(exact.target(), num_samples=50).value - exact.log_evidence).abs().max()
    integrated = (quadrature(mean_field.target()).value - mean_field.log_evidence).abs().max()
    check(max(weighed, integrated) < 1e-6, f"off by {weighed:.1e} and {integrated:.1e} nats")
    return f"off by {weighed:.0e} and {integrated:.0e} nats"


def estimated_evidence(folder: Path) -> str:
    """A good guide's weights, and annealing from it."""
    from elbowroom.inference import anneal, importance
    from elbowroom.reference import problem

    reference = problem("ppca-10-wide")
    target = reference.target()
    estimates = (importance(target, num_samples=5000), anneal(target, num_steps=16, num_chains=32))
    off = [((e.value - reference.log_evidence).abs() / e.stderr).max() for e in estimates]
    check(max(off) < SIGMAS, f"off by {off[0]:.1f} and {off[1]:.1f} standard errors")
    return f"off by {off[0]:.1f} and {off[1]:.1f} standard errors at most"


def bracketed(folder: Path) -> str:
    """log p(x) lies within its interval, where a lattice finds it and where chains do; a state is gone on from."""
    from elbowroom.inference import bracket
    from elbowroom.reference import problem

    said = []
    for name in ("banana-mean-field", "ppca-mean-field"):
        reference, state = problem(name), folder / f"{name}.safetensors"
        first = bracket(reference.target(), budget=5, state=state)
        found = bracket(reference.target(), budget=5, state=state)
        check(bool((found.settled | ~first.settled).all()), f"{name}: what was settled is not any more")
        low, high = found.interval(SIGMAS)
        inside = (low - 1e-6 <= reference.log_evidence) & (reference.log_evidence <= high + 1e-6)
        check(bool(inside.all()), f"{name}: {low} {reference.log_evidence} {high}")
        said.append(f"{name} {int(found.settled.sum())} of {len(reference)} settled")
    return ", ".join(said)


def sampled(folder: Path) -> str:
    """Chains find the posterior's mean, and the bridge its evidence."""
    from elbowroom.inference import agreement, bridge, hmc
    from elbowroom.reference import problem

    reference = problem("ppca-mean-field")
    target = reference.target()
    draws = hmc(target, num_draws=300)
    names = list(draws.z)
    flat = torch.cat([draws.z[name].reshape(*draws.z[name].shape[:3], -1) for name in names], -1)  # [C, T, B, N]
    off = (flat.mean((0, 1)) - reference.mean).abs() / reference.sd
    check(float(off.max()) < SIGMAS / 200**0.5, f"means off by {float(off.max()):.2f} sd")  # some 200 draws' worth
    agreement(target, draws)
    found = bridge(target, draws)
    errors = ((found.value - reference.log_evidence).abs() / found.stderr).max()
    check(errors < SIGMAS, f"bridge off by {errors:.1f} standard errors")
    return f"means off by {float(off.max()):.2f} sd, bridge by {errors:.1f} standard errors"


def room(folder: Path) -> str:
    """The room is what it is in closed form, its parts add up to it, and the family is to blame."""
    from elbowroom.inference import decompose
    from elbowroom.reference import problem

    reference = problem("correlated-gaussian-0.9")
    parts = decompose(reference.target(), num_samples=512)
    found = parts.room()
    off = ((found.value - reference.gap).abs() / found.stderr).max()
    total = parts.amortization.value + parts.optimisation.value + parts.approximation.value
    check(float((total - found.value).abs().max()) < 1e-9, "the parts do not add up to the room")
    check(float(off) < SIGMAS, f"off by {off:.1f} standard errors")
    check(bool((parts.approximation.value > 0.9 * found.value).all()), "a room that is the family's is not called so")
    return f"{found.value.mean():.3f} nats, off by {off:.1f} standard errors"


def audited(folder: Path) -> str:
    """The whole audit on a small budget; its files are written, and are JSON, netCDF and a page that is whole."""
    import xarray

    from elbowroom.inference import audit

    model, guide, x, _ = trained()
    result = audit(model, guide, x, budget=4, num_simulations=30, state=folder / "state")
    check(len(result.findings) > 3 and str(result.verdict) != "", "the verdict says nothing")
    page, record, archive = result.save(folder / "audit")
    numbers = json.loads(record.read_text())["numbers"]
    check(set(numbers) == set(result.numbers), "audit.json has other numbers")
    with xarray.open_datatree(archive, engine="h5netcdf") as tree:
        groups = len(tree.groups)
    check(page.read_text().rstrip().endswith("</html>"), "report.html is not whole")
    return f"{len(numbers)} numbers, {len(result.findings)} sentences, {groups} groups"


def compared(folder: Path) -> str:
    """Guide, importance sampling, NUTS and a lattice side by side, as text, file and figure."""
    from elbowroom.inference import Target, compare
    from elbowroom.report import comparison_table, posterior_figure, save_figure, save_json, save_netcdf

    model, guide, x, _ = trained()
    target = Target(model, guide, x)
    comparison = compare(target, [0], num_samples=500, num_chains=2, num_warmup=50, num_draws=50)
    (folder / "comparison.txt").write_text(str(comparison_table(comparison)))
    save_json(comparison, folder / "comparison.json")
    save_netcdf(comparison, folder / "comparison.nc")
    save_figure(posterior_figure(target, comparison, images=x[:1], image_shape=(8, 8)), folder / "posterior.png")
    check(all(path.stat().st_size > 300 for path in folder.glob("[cp]*.*")), "a file is empty")
    return f"reference: {comparison.reference}"


def command_line(folder: Path) -> str:
    """Help, a run, what is asked of it, and the exit codes of what is refused."""
    small = ("--training.epochs=2", "--programs.hidden=[8]", "--programs.encoder_hidden=[8]")
    lines = {
        ("--version",): 0,
        ("train", "--help"): 0,
        ("train", *small, "--output=run"): 0,
        ("train", *small, "--output=run", "--resume"): 0,
        ("evidence", "--run=run", "--limit=5", "--num_samples=200", "--json"): 0,
        ("evidence", "--run=run", "--limit=3", "--method=bracket", "--budget=1"): 0,
        ("audit", "--run=run", "--limit=3", "--budget=1", "--num_simulations=20", "--fail-if", "gap > -1"): 5,
        ("generate", "--run=run"): 0,
        ("train", "--device=tpu"): 2,
        ("evidence", "--run=absent"): 3,
    }
    elbowroom = Path(sys.executable).with_name("elbowroom")
    for line, code in lines.items():
        done = subprocess.run([elbowroom, *line], cwd=folder, capture_output=True, text=True)
        check(done.returncode == code, f"{' '.join(line)}: exit code {done.returncode}, not {code}: {done.stderr}")
        check("Traceback" not in done.stderr, f"{' '.join(line)}: {done.stderr}")
    return f"{len(lines)} command lines"


STEPS: tuple[Callable[[Path], str], ...] = (
    public_names,
    training,
    exact_evidence,
    estimated_evidence,
    bracketed,
    sampled,
    room,
    audited,
    compared,
    command_line,
)


def check(holds: bool, otherwise: str) -> None:
    """Unlike `assert` it is there under `python -O` too."""
    if not holds:
        raise AssertionError(otherwise)


def main() -> int:
    """Run every step; the exit code is 1 if one failed."""
    import elbowroom

    warnings.simplefilter("ignore", FutureWarning)
    versions = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    print(f"elbowroom {version('elbowroom')} in {Path(elbowroom.__file__).parent}")
    print(f"Python {sys.version.split()[0]}, {versions}")
    begun, failed = time.perf_counter(), 0
    for step in STEPS:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = step(Path(folder))
            except Exception:
                failed, said = failed + 1, f"FAILED\n{traceback.format_exc()}"
        print(f"{time.perf_counter() - start:6.1f} s  {step.__name__.replace('_', ' '):<19} {said}", flush=True)
    print(f"{len(STEPS) - failed} passed, {failed} failed in {time.perf_counter() - begun:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
