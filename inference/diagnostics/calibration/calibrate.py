"""Is the guide calibrated over data sets: ranks, coverage and TARP on data simulated from the model."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.diagnostics.calibration.ranking import LOG_JOINT, places
from elbowroom.inference.diagnostics.calibration.result import Calibration
from elbowroom.inference.diagnostics.calibration.simulations import SOURCES, simulated
from elbowroom.inference.diagnostics.calibration.uniformity import GRID, WORTH, Uniformity, band
from elbowroom.inference.diagnostics.calibration.verdicts import verdicts
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.programs.simulate import check_drawable
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target

MIN_SIMULATIONS = 20
_MIN_ESS = 10.0


@checked
@asked_again
def calibrate(
    target: Target,
    *,
    num_simulations: int = 300,
    num_draws: int = 200,
    kind: str = "prior",
    draws: Draws | None = None,
    level: float = 0.05,
    seed: int = 0,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Calibration:
    """Test whether the trained guide is the posterior, over N simulated data sets, without fitting anything.

    Latents are drawn from the model, data from the latents, and the true latents are placed among L draws of the guide
    at the simulated data. If q(z | x) = p(z | x), all places are uniform (`ranking.places`); three kinds of tests look
    at them, each with a false-alarm rate of at most `level` for all its tests together (`verdicts`):

    * ranks of each latent and of log p(x, z) (Talts et al. 2018; Modrák et al. 2023: ranks of z alone are blind to a
      guide that ignores x and equals the prior, those of log p(x, z) are not),
    * coverage of the guide's highest-density regions, by ranks of log q(z | x),
    * TARP (Lemos et al. 2023), with reference points that depend on x (`reference_points`).

    With `kind="posterior"` latents are drawn from the posteriors p(z | x_b) of the observed data, so that what is
    simulated, x', looks like them, and the guide is tested where it will be used. z' is then a draw of
    p(z | x', x_b) ∝ p(z | x') p(x_b | z) (Säilynoja et al. 2025, posterior SBC). The guide knows one datum at a time,
    so what is tested is q(z | x') p(x_b | z) up to a constant: draws of q(z | x') are weighted by p(x_b | z), which
    keeps places exactly uniform under q(z | x') = p(z | x') for any L and any weights. Where latents are many the
    weights are unequal: that costs power, is flagged, and raises no false alarm. The truth is as good as the draws
    z' of p(z | x_b).

    What no test here can see: latents that the model does not use at all and that q leaves at the prior, which is
    right; errors on data that the model does not generate.

    Args:
        target: programs and data. The data say what shapes there are; `"posterior"` simulates around them.
        num_simulations: N; the data are taken in turn if there are fewer, each time with new noise.
        num_draws: L.
        kind: `"prior"` or `"posterior"`.
        draws: posterior draws of the target's data, from `hmc`, for `"posterior"`; by default `hmc` is run. Data whose
            chains did not converge are left out.
        level: of each kind of test.
        seed: everything is a function of (seed, data), whatever the order and the chunks of the data are.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Raises:
        ValueError: on an argument out of range, an unknown kind, draws of other data, a target whose data cannot be
            picked (`plate=None`), or if fewer than 20 simulations gave numbers.
        NotAReference: if no datum's chains converged.
        ProgramError: if the programs cannot be simulated (see `simulate.py`).
    """
    target = target.collapsed()
    _check(target, num_simulations, kind)
    check_drawable(target)
    if kind == "prior":  # which is drawn from
        target.check_proper()
    begin = time.perf_counter()
    options = {"memory_bytes": memory_bytes, "progress": progress}
    source = SOURCES[kind](target, num_simulations, draws, seed, options)
    u, ess, densities = _places(source.target, source.given, num_draws, seed, memory_bytes, progress)
    needed = torch.ones(u.shape[1], dtype=torch.bool)
    needed[-2] = densities
    good = u[:, needed].isfinite().all(1)
    doubts = tuple(caution.reason for caution in target.structure.cautions) if densities else ()
    flags = (*doubts, *source.flags, *_flags(good, densities, ess, source.given is not None))
    return _result(u[good], (*target.latent_names, LOG_JOINT), num_draws, kind, level, flags, begin)


def _places(
    source: Target,
    given: Mapping[str, Tensor] | None,
    num_draws: int,
    seed: int,
    memory_bytes: int | None,
    progress: bool,
) -> tuple[Tensor, Tensor, bool]:
    """Places `[N, Q + 2]`, effective numbers of draws `[N]`, and whether log q is known at any point."""
    densities = source.has_density
    # Sorting draws into place takes as much room again as an evaluation.
    chunk_plan = plan(source, num_draws, memory_bytes, gradients=True)
    parts = []
    with progress_bar(len(source) * num_draws, "calibrate", "draw", progress) as tick:
        for piece, part in chunk_plan.data(source):
            part_given = None if given is None else {name: value[:, piece] for name, value in given.items()}
            parts.append(places(simulated(part, part_given, seed), chunk_plan, num_draws, seed, densities, tick))
    return torch.cat([p.u for p in parts]), torch.cat([p.ess for p in parts]), densities


def _result(
    u: Tensor,
    quantities: tuple[str, ...],
    num_draws: int,
    kind: str,
    level: float,
    flags: tuple[str, ...],
    begin: float,
) -> Calibration:
    Q = len(quantities)
    tests = verdicts(u, quantities, level)
    bands = {size: band(len(u), level / WORTH / size) for size in {1, Q}}
    nothing = torch.full_like(GRID, torch.nan)
    has_coverage = tests.coverage is not None
    coverage = _curve(tests.coverage) if tests.coverage is not None else nothing
    return Calibration(
        kind=kind,
        quantities=quantities,
        ranks=(u[:, :Q] * (num_draws + 1)).floor().clamp(0, num_draws).long(),
        num_draws=num_draws,
        grid=GRID.clone(),
        ecdf_difference=tests.ranks.difference,
        band_low=bands[Q][0],
        band_high=bands[Q][1],
        coverage=coverage,
        coverage_low=GRID + bands[1][0] if has_coverage else nothing,
        coverage_high=GRID + bands[1][1] if has_coverage else nothing,
        tarp=_curve(tests.tarp),
        tarp_low=GRID + bands[1][0],
        tarp_high=GRID + bands[1][1],
        level=level,
        checks=tests.checks,
        flags=flags,
        seconds=time.perf_counter() - begin,
    )


def _curve(test: Uniformity) -> Tensor:
    return GRID + test.difference[:, 0]


def _flags(good: Tensor, densities: bool, ess: Tensor, weighted: bool) -> tuple[str, ...]:
    """What is wrong with the calibration.

    Raises:
        ValueError: if too few simulations gave numbers.
    """
    flags, N = [], len(good)
    if int(good.sum()) < MIN_SIMULATIONS:
        raise ValueError(
            f"{N - int(good.sum())} of {N} simulations gave NaN in the guide's draws or in a log density: too few are "
            f"left to test anything ({MIN_SIMULATIONS} are needed). Evaluate the guide on target.simulate()[0] to see "
            "where it fails"
        )
    if not bool(good.all()):
        flags.append(
            f"{N - int(good.sum())} of {N} simulations left out: NaN in the guide's draws or in a log density there. "
            "The tests speak for the others only"
        )
    if not densities:
        flags.append("no coverage: the guide's density is not known at a given point")
    typical = float(ess[good].median())
    if weighted and typical < _MIN_ESS:
        flags.append(
            f"weighted by what was observed, the guide's draws are worth {typical:.1f} in a typical simulation: the "
            "tests are valid but have little power"
        )
    return tuple(flags)


def _check(target: Target, num_simulations: int, kind: str) -> None:
    if num_simulations < MIN_SIMULATIONS:
        raise ValueError(f"num_simulations must be at least {MIN_SIMULATIONS}, got {num_simulations}")
    if kind not in SOURCES:
        raise ValueError(f"kind must be one of {sorted(SOURCES)}, got {kind!r}")
    if not target.latents:
        raise ValueError("this target has no latent that a guide draws: there is no q to calibrate")
    if not target.sliceable:
        raise ValueError(
            "this target's data cannot be picked and repeated, so many data sets cannot be simulated at once: "
            f"{target.why_whole()}. It takes programs with a data plate that follows the data, one row a data set"
        )
