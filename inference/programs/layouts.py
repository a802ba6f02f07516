"""Ways to run one program on [samples, data]: in a plate of samples, folded into the batch, vmapped, or one by one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from elbowroom.inference.programs.independence import check_repeatable, same
from elbowroom.inference.programs.structure import ProgramError

if TYPE_CHECKING:
    from elbowroom.inference.target import Target

Layout = Literal["plate", "fold", "vmap", "loop"]
Values = dict[str, Tensor]
Evaluate = Callable[..., tuple[Values, Values]]


def in_plate(
    target: "Target", evaluate: Evaluate, given: Values, num_samples: int, noise: Any
) -> tuple[Values, Values]:
    """One run inside an outer plate of samples: the program must broadcast over leading dimensions."""
    return evaluate(target, given, num_samples, lambda values, batch: _arranged(target, values, batch))


def folded(target: "Target", evaluate: Evaluate, given: Values, num_samples: int, noise: Any) -> tuple[Values, Values]:
    """One plain run on S·B data, datum b repeated S times: for programs that take exactly one batch dimension."""
    num_data = len(target)
    rows = torch.arange(num_data).repeat(num_samples)
    many = target._at(rows)
    flat = {name: value.flatten(0, 1).unsqueeze(0) for name, value in given.items()}
    results = evaluate(many, flat, None, lambda values, batch: _arranged(target, values.flatten(0, 1), batch))
    values, terms = ({k: v.unflatten(1, (num_samples, num_data))[0] for k, v in r.items()} for r in results)
    return values, terms


def vmapped(target: "Target", evaluate: Evaluate, given: Values, num_samples: int, noise: Any) -> tuple[Values, Values]:
    """`torch.vmap` of plain runs: for densities of programs that know of no batch at all."""
    if noise is not None or not given:
        raise NotImplementedError("vmap evaluates densities at given values; it does not draw")

    def one(sample: Values) -> tuple[Values, Values]:
        return evaluate(target, {name: value.unsqueeze(0) for name, value in sample.items()}, None, None)

    values, terms = torch.vmap(one)(given)
    return {k: v.squeeze(1) for k, v in values.items()}, {k: v.squeeze(1) for k, v in terms.items()}


def one_by_one(
    target: "Target", evaluate: Evaluate, given: Values, num_samples: int, noise: Any
) -> tuple[Values, Values]:
    """A plain run for each sample: always right, and slow."""
    if noise is not None:
        noise.keep = True
    runs = []
    for s in range(num_samples):
        sample = {name: value[s : s + 1] for name, value in given.items()}
        runs.append(evaluate(target, sample, None, lambda values, batch, s=s: _arranged(target, values[s], batch)))
    values, terms = ({k: torch.cat([run[i][k] for run in runs]) for k in runs[0][i]} for i in (0, 1))
    return values, terms


LAYOUTS: dict[Layout, Callable[..., tuple[Values, Values]]] = {
    "plate": in_plate,
    "fold": folded,
    "vmap": vmapped,
    "loop": one_by_one,
}


def choose_layout(target: "Target") -> dict[str, Layout]:
    """For model and guide, the fastest layout that gives the numbers of plain runs on a few samples and data.

    Raises:
        ProgramError: if not even plain runs can be evaluated.
    """
    probe = target._at(torch.arange(min(3, len(target)))) if target.sliceable else target
    probe.layouts = {"model": "loop", "guide": "loop"}
    with torch.no_grad():
        z, log_q = probe.propose(2)
        if not bool(log_q.isfinite().any()):
            raise ProgramError(
                f"the guide's log density at its own draws is {log_q[0, 0].item()} for the first data: a zero-variance "
                "guide (scale 0) or NaN parameters. Give every latent a positive, finite scale."
            )
        try:
            truth = {"guide": [log_q, probe.log_guide(z)], "model": list(probe.log_joint(z))}
        except NotImplementedError:
            truth = {"guide": [log_q], "model": list(probe.log_joint(z))}
        check_repeatable(probe)
        chosen: dict[str, Layout] = {}
        for what in ("guide", "model"):
            chosen[what] = next(
                layout for layout in LAYOUTS if layout == "loop" or _agrees(probe, what, layout, z, truth[what])
            )
    return chosen


def _agrees(probe: "Target", what: str, layout: Layout, z: Values, truth: list[Tensor]) -> bool:
    if layout == "fold" and not probe.sliceable:
        return False
    probe.layouts = {"model": "loop", "guide": "loop", what: layout}
    try:
        if what == "model":
            found = list(probe.log_joint(z))
        else:
            again, log_q = probe.propose(2)
            found = [log_q, probe.log_guide(z)] if len(truth) > 1 else [log_q]
            if not all(same(again[name], z[name]) for name in z):
                return False
    except (
        ProgramError,
        RuntimeError,
        ValueError,
        IndexError,
        TypeError,
        NotImplementedError,
        AssertionError,
    ):
        return False
    finally:
        probe.layouts = {"model": "loop", "guide": "loop"}
    return all(same(f, t) for f, t in zip(found, truth, strict=True))


def _arranged(target: "Target", values: Tensor, batch: torch.Size) -> Tensor:
    """Noise `[S, B, n]` or `[B, n]` to `[*batch, m]`: the data plate may stand behind other plates."""
    data_dim = target.structure.data_dim
    if data_dim is None:
        return values.reshape(*batch, -1)
    lead, position = values.dim() - 2, len(batch) + data_dim
    inner = (*batch[lead:position], *batch[position + 1 :])
    return values.reshape(*values.shape[: lead + 1], *inner, -1).movedim(lead, position)
