"""Is one function the density of what another one draws? For functions they may differ; of a Pyro site they cannot.

With a Gaussian g(u) fitted to draws of `sample` and widened, in unconstrained coordinates u = T⁻¹(z), and draws u ~ g
weighed by w = q(T(u)) |dT/du| / g(u),

    mean w = ∫ q(z) dz = 1,        Σ w h(u) / Σ w = E_q h(u) = the mean of h over draws of `sample`

for coordinates h(u) = u_d, cut off at two standard deviations so that no tail decides, and their squares. Where the
weights of g are even enough to tell, and one of the equations fails by more than six standard errors and a margin,
every number that uses log q is flagged.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions import biject_to

from elbowroom.inference.programs.cautions import Caution
from elbowroom.inference.programs.from_functions import SITE, Functions
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.structure import Structure

_SAMPLES, _DATA = 2048, 8  # what is looked at
_WIDER = 1.15  # standard deviations of g over those of the draws
_EFFECTIVE = 100.0  # draws of g, from which on they can tell
_LARGEST = 0.02  # share of a weight, from which on it is a tail that few draws of g have met
_SIGMAS, _MASS, _MOMENT = 6.0, 0.05, 0.1  # what may be apart: standard errors, and nats or standard deviations more


def doubted(structure: Structure, functions: Functions, data: tuple[Tensor, ...]) -> Structure:
    """The structure of programs made of functions, with a caution if `log_q` is not the density of `sample`."""
    reason = why_not_drawn(functions, data)
    if not reason:
        return structure
    caution = Caution(reason, torch.ones(structure.num_data, dtype=torch.bool), SITE)
    return replace(structure, cautions=(*structure.cautions, caution))


def why_not_drawn(functions: Functions, data: tuple[Tensor, ...]) -> str:
    """What speaks against `log_q` being the normalised density of `sample`, or an empty string."""
    few = tuple(value[:_DATA] for value in data)
    with quiet_globals(data), torch.no_grad():
        torch.manual_seed(0)
        transform = biject_to(functions.support)
        drawn = functions.drawn("sample", few, _SAMPLES)
        u = transform.inv(drawn).double()[:, :_DATA]
        if u.shape[-1] * 8 > _SAMPLES or not bool(u.isfinite().all()):
            return ""
        mean, factor = _gaussian(u)
        noise = torch.randn(u.shape, dtype=u.dtype, device=u.device)
        at = mean + torch.einsum("bij,sbj->sbi", factor, noise)
        log_g = (-0.5 * noise.square() - 0.5 * math.log(2 * math.pi)).sum(-1)
        log_g = log_g - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_w = _log_q(functions, few, transform, at, drawn.dtype) - log_g
    return _told(log_w, (u - mean) / u.std(0), (at - mean) / u.std(0))


def _gaussian(u: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `[B, D]` and Cholesky factor `[B, D, D]` of g."""
    mean = u.mean(0)
    rest = (u - mean).transpose(0, 1)
    covariance = rest.transpose(1, 2) @ rest / (len(u) - 1)
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    covariance = covariance + torch.diag_embed(1e-9 * variance + torch.finfo(u.dtype).tiny)
    return mean, _WIDER * torch.linalg.cholesky(covariance)


def _log_q(functions: Functions, data: tuple[Tensor, ...], transform: object, u: Tensor, dtype: torch.dtype) -> Tensor:
    """log q(T(u)) + log |dT/du| `[S, B]`, of the first data of functions that hold all of theirs themselves."""
    missing = functions.size(data) - u.shape[1]
    full = torch.cat([u, u[:, :1].expand(-1, missing, -1)], 1) if missing else u
    z = transform(full)  # type: ignore[operator]
    jacobian = transform.log_abs_det_jacobian(full, z)  # type: ignore[attr-defined]
    jacobian = jacobian.flatten(2).sum(2) if jacobian.dim() > 2 else jacobian
    # A network in 32 bits takes nothing else.
    return (functions.density("log_q", data, z.to(dtype)).double() + jacobian)[:, : u.shape[1]]


def _told(log_w: Tensor, drawn: Tensor, weighed: Tensor) -> str:
    """The equation that fails most plainly, in words; `drawn` and `weighed` are in standard deviations, `[S, B, D]`."""
    num_samples = len(log_w)
    log_w = torch.where(log_w.isnan(), -torch.inf, log_w)
    w = (log_w - log_w.amax(0)).exp()
    share = w / w.sum(0)
    effective = 1 / share.square().sum(0) > _EFFECTIVE
    able = effective & (share.amax(0) < _LARGEST)
    mass = log_w.logsumexp(0) - math.log(num_samples)
    error = (share.square().sum(0) - 1 / num_samples).clamp_min(0).sqrt()
    # Weights that few draws have met make a mass too small, hardly ever too large.
    off = torch.where(mass > 0, effective, able) & (mass.abs() > _SIGMAS * error + _MASS)
    if bool(off.any()):
        b = int(torch.where(off, mass.abs(), -1.0).argmax())
        return (
            f"log_q is not the normalised density of sample: exp(log_q) integrates to {math.exp(mass[b]):.3g} ± "
            f"{math.exp(mass[b]) * float(error[b]):.1g}, not to 1, where sample draws (datum {b})"
        )
    for power, what in ((1, "mean"), (2, "mean square")):
        h, k = drawn.clamp(-2, 2) ** power, weighed.clamp(-2, 2) ** power
        expected = (share.unsqueeze(-1) * k).sum(0)
        spread = (share.square().unsqueeze(-1) * (k - expected).square()).sum(0) + h.var(0) / num_samples
        apart = (h.mean(0) - expected).abs()
        off = able.unsqueeze(-1) & (apart > _SIGMAS * spread.sqrt() + _MOMENT)
        if bool(off.any()):
            b, d = divmod(int(torch.where(off, apart, -1.0).argmax()), off.shape[1])
            return (
                f"log_q is not the density of what sample draws: the {what} of coordinate {d} of datum {b} is "
                f"{float(h.mean(0)[b, d]):.2f} over draws, and {float(expected[b, d]):.2f} under log_q (in standard "
                "deviations of the draws, from their mean)"
            )
    return ""
