"""Where the room comes from: the family, the encoder, the optimiser, and Monte Carlo error."""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.bracket.bracket import told
from elbowroom.inference.families.scoring import NUM_SHIFTS
from elbowroom.inference.gap.annealed import Ground
from elbowroom.inference.gap.climbed import ENCODER, Climbed
from elbowroom.inference.gap.held import Held, held_by
from elbowroom.inference.gap.ladder import climb
from elbowroom.inference.gap.log_p import LogP, LogPInfo, log_evidence
from elbowroom.inference.gap.own_family import OWN_FAMILY, why_no_own_family
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.gap.result import Decomposition
from elbowroom.inference.gap.rungs import FLOW, RUNGS
from elbowroom.inference.gap.shares import Shares
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.metric import MAX_DENSE
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target

FAMILIES = tuple(name for name in RUNGS if name != FLOW)
"""What is fitted unless something else is asked for: a flow takes two to three times as long as all of them."""

_NOWHERE = "p(x, z) is zero or not a number at some of q's draws: the ELBO is −∞"
_NOT_GAUSSIAN = "the guide is not Gaussian in unconstrained coordinates: its best member is taken to be a {family} one"


@checked
@asked_again
def decompose(
    target: Target,
    *,
    log_p: LogP | None = None,
    draws: Draws | None = None,
    families: Sequence[str] = FAMILIES,
    family: str | None = None,
    num_samples: int = 2048,
    seed: int = 0,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Decomposition:
    """Take log p(x_b) − ELBO(x_b) apart, for every datum (Cremer, Li & Duvenaud 2018, refined).

        log p(x) = ELBO + amortization + optimisation + approximation

    amortization = ELBO of the best member found of the guide's own family − ELBO of the encoder's output;
    optimisation = how far that member is from the best one nearby, to second order; approximation = the rest: log p(x)
    less the best member of the family. The own family of a Gaussian is mean-field or full covariance. That of a guide
    of several sites that depend on each other, or of a flow, is the rung `"own-family"`: each Normal of the guide moved
    and widened in its own units, m + s δ and s e^γ with δ and γ for each datum, its networks frozen (`own_family.py`).
    All data are refined in one batch, in unconstrained coordinates (of `"own-family"`, the guide's noise), by
    natural-gradient steps with a rate and a stop of their own; every rung starts from the best member found before, is
    scored on quasi-random draws (the Gaussian ones on the same), and is kept only where it scores better beyond noise,
    so values never fall; where a rung is not kept, its value is that of the encoder or rung before.

    A member found from the encoder's output is a local optimum. So every family is searched again from modes found by
    `draws`, or, without any, by particles sent from the prior, wherever these lie in another mode; the better member of
    each datum is kept, and `notes` tell by how much the search from the encoder fell short. A member that still holds
    less than half of the posterior sits in a lesser mode: the datum is flagged, and what it lacks counts as
    optimisation, unless members of other modes were found that are no better (a family of one mode can cover but one
    of them). Whatever its members do not hold is a flag of all that is estimated from `refined.target()`.

    Args:
        target: programs and data.
        log_p: log p(x) of the same data, a bracket of it, or a function that finds one of these for a target whose
            guide is the largest refined family, such as `lambda refined: bracket(refined, draws=draws)`. By default a
            lattice for up to two latents, else annealing from the largest refined family (a lower bound in expectation,
            so the approximation gap is one too), which must agree with a second opinion that does not begin there: the
            search from the prior, or annealing from the encoder's output or the prior. Where they do not, the larger
            value is taken and the datum flagged.
        draws: posterior draws of the same data, from `hmc` or `nuts`.
        families: rungs, from small to large, of `"own-family"`, `"mean-field"`, `"full covariance"`, `"mixture"`,
            `"flow"`; the
            first is left out where the guide has none besides the others. `"flow"`, the last, is fitted only where it
            is asked for: the members before it bent by an invertible map of each datum's own (`families/bend.py`).
        family: the rung that counts as the guide's own; by default `"own-family"` where that is a rung, else what its
            density says for most of these data.
        num_samples: draws that each rung is scored on, at least 32.
        seed: of everything random; the result of a datum is a function of (seed, datum).
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Decomposition; every term is an `Estimate` with `[B]` values and stderr in nats.

    Raises:
        ValueError: on unknown families or ones out of order, too few samples, `log_p` or `draws` of other data, or a
            guide that draws a discrete latent.
    """
    target = target.collapsed()
    begin = time.perf_counter()
    rungs = _checked(target, families, family, num_samples, draws, memory_bytes)
    with progress_bar(len(target), "ladder", "datum", progress) as tick:
        climbed = climb(target, rungs, num_samples, draws, seed, memory_bytes, tick)
    guide_family = family or _family_of(climbed, rungs)
    refined = RefinedGuide(target, climbed.families)
    exploded = torch.tensor([bool(reason) for reason in climbed.exploded])
    ground = Ground(exploded, climbed.several, Estimate(*climbed.searched, "lower"), _own_is_best(climbed))
    evidence = log_evidence(refined, log_p, ground, seed, memory_bytes)
    held = held_by(refined, evidence, guide_family, seed, memory_bytes)
    refined = replace(refined, doubts={name: rung.doubts for name, rung in held.items()})
    every = zip(*(rung.contradictions for rung in held.values()), strict=True)
    known = evidence.log_p.flagged([next(filter(None, texts), "") for texts in every])
    seconds = time.perf_counter() - begin
    return _assemble(climbed, known, guide_family, refined, held[guide_family], target.cautions, seconds)


def _assemble(
    climbed: Climbed,
    log_p: Estimate[LogPInfo],
    family: str,
    refined: RefinedGuide,
    held: Held,
    cautions: tuple[str, ...],
    seconds: float,
) -> Decomposition:
    """The terms of the room, where the guide's own family is `family`; only the encoder's ELBO rests on its log q."""
    names = list(climbed.elbo)
    unnormalised = refined.base.unnormalised
    log_p = replace(log_p, unnormalised=unnormalised)
    ladder = {name: replace(_mean(climbed.elbo[name], "lower"), unnormalised=unnormalised) for name in names}
    gains = {
        name: _gain(climbed.elbo[name] - climbed.elbo[before], climbed.tried[name]) for before, name in pairwise(names)
    }
    unknown = (torch.zeros_like(log_p.value), torch.full_like(log_p.value, torch.inf))  # of a mixture
    slack, slack_stderr = (value.cpu() for value in climbed.slack.get(family, unknown))
    near = Estimate(slack, slack_stderr, "none")
    shares = Shares.of(held, climbed.rivals[family].cpu(), climbed.shortfall[family].cpu(), family)
    optimisation = shares.optimisation(near, log_p)
    nowhere = [_NOWHERE if value == -torch.inf else "" for value in ladder[ENCODER].value.tolist()]
    ladder[ENCODER] = ladder[ENCODER].flagged(cautions)
    causes = zip(climbed.exploded, nowhere, cautions, log_p.flags, shares.flags, strict=True)
    flags = tuple(reasons(*of_datum) for of_datum in causes)
    holds = climbed.is_gaussian | (family == OWN_FAMILY)
    own = ["" if known else _NOT_GAUSSIAN.format(family=family) for known in holds.tolist()]
    own = ["" if exploded else note for exploded, note in zip(climbed.exploded, own, strict=True)]
    return Decomposition(
        ladder=ladder,
        gains=gains,
        family=family,
        log_p=log_p,
        amortization=_gain(climbed.elbo[family] - climbed.elbo[ENCODER], climbed.tried[family]).flagged(cautions),
        optimisation=optimisation,
        approximation=shares.approximation(near, optimisation, ladder[family], log_p),
        refined=refined,
        exploded=torch.tensor([bool(reason) for reason in climbed.exploded]),
        flags=flags,
        notes=tuple(told(refined.base, reasons(*pair)) for pair in zip(own, shares.notes, strict=True)),
        num_evaluations=climbed.num_evaluations,
        seconds=seconds,
    )


def _mean(replicates: Tensor, bound: str) -> Estimate:
    """The mean over R independent randomisations `[R, B]`, and its standard error."""
    stderr = replicates.std(0) / len(replicates) ** 0.5
    return Estimate(replicates.mean(0).cpu(), stderr.cpu(), bound)  # type: ignore[arg-type]


def _gain(replicates: Tensor, tried: Tensor) -> Estimate:
    """The mean gain; where a rung was not kept it is zero, known as well as the comparison that it lost."""
    gain = _mean(replicates, "none")
    return replace(gain, stderr=torch.where(gain.value == 0, tried.cpu(), gain.stderr))


def _own_is_best(climbed: Climbed) -> Tensor | None:
    """Of which data no family is better than the guide's own, `[B]`."""
    if OWN_FAMILY not in climbed.elbo:
        return None
    last = list(climbed.elbo.values())[-1]
    return (last == climbed.elbo[OWN_FAMILY]).all(0).cpu()


def _family_of(climbed: Climbed, rungs: list[str]) -> str:
    """The smallest rung that holds the guide for most data; where none does, the largest Gaussian one."""
    if OWN_FAMILY in rungs:
        return OWN_FAMILY
    usable = torch.tensor([not reason for reason in climbed.exploded])
    if climbed.is_diagonal.cpu()[usable].double().mean() >= 0.5 and "mean-field" in rungs:
        return "mean-field"
    return next((name for name in ("full covariance", "mean-field") if name in rungs), rungs[0])


def _checked(
    target: Target,
    families: Sequence[str],
    family: str | None,
    num_samples: int,
    draws: Draws | None,
    memory_bytes: int | None,
) -> list[str]:
    """The rungs that can be fitted to this target.

    Raises:
        ValueError: as `decompose`.
    """
    rungs, order = list(families), list(RUNGS)
    if not rungs or any(name not in order for name in rungs) or rungs != sorted(set(rungs), key=order.index):
        raise ValueError(f"families must be some of {order}, in that order, got {rungs}")
    if num_samples < 2 * NUM_SHIFTS:
        raise ValueError(f"num_samples must be at least {2 * NUM_SHIFTS}, got {num_samples}")
    target.check_proper()
    check_same_data(target, draws=draws)
    dim = Coordinates.of(target).dim
    if dim == 0:
        raise ValueError("this target has no continuous latent: log p(x) is the ELBO, there is nothing to take apart")
    if OWN_FAMILY in rungs and (why := why_no_own_family(target, memory_bytes)):
        if rungs == [OWN_FAMILY] or family == OWN_FAMILY:
            raise ValueError(f"'{OWN_FAMILY}' is no family of this guide: {why}")
        rungs.remove(OWN_FAMILY)
    if dim > MAX_DENSE:
        rungs = [name for name in rungs if name in (OWN_FAMILY, "mean-field")]
        if not rungs:
            raise ValueError(
                f"families of {dim} latents: above {MAX_DENSE} only '{OWN_FAMILY}' and 'mean-field' are fitted, got "
                f"{families}"
            )
    if family is not None and family not in rungs:
        raise ValueError(f"family must be one of the families that are fitted, {rungs}, got {family!r}")
    return rungs
