"""Ways to run one program on [samples, data]: in a plate of samples, folded into the batch, vmapped, or one by one."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from elbowroom.inference.programs import evaluations
from elbowroom.inference.programs.terms import Result, Term, Values
from elbowroom.inference.programs.triple import Triple

Layout = Literal["plate", "fold", "vmap", "loop"]


def in_plate(triple: Triple, term: Term, given: Values, num_samples: int, noise: Any) -> Result:
    """One run inside an outer plate of samples: the program must broadcast over leading dimensions."""
    return term(triple, given, num_samples, lambda values, batch: _arranged(triple, values, batch))


def folded(triple: Triple, term: Term, given: Values, num_samples: int, noise: Any) -> Result:
    """One plain run on S·B data, datum b repeated S times: for programs that take exactly one batch dimension."""
    if triple.structure.data_dim is None:
        raise NotImplementedError("samples are folded into the batch of a data plate, and these programs have none")
    num_data = len(triple)
    many = triple.at(torch.arange(num_data).repeat(num_samples))
    flat = {name: value.flatten(0, 1).unsqueeze(0) for name, value in given.items()}
    results = term(many, flat, None, lambda values, batch: _arranged(triple, values.flatten(0, 1), batch))
    values, terms = ({k: v.unflatten(1, (num_samples, num_data))[0] for k, v in r.items()} for r in results)
    return values, terms


def vmapped(triple: Triple, term: Term, given: Values, num_samples: int, noise: Any) -> Result:
    """`torch.vmap` of plain runs: for densities of programs that know of no batch at all."""
    if noise is not None or not given:
        raise NotImplementedError("vmap evaluates densities at given values; it does not draw")

    def one(sample: Values) -> Result:
        return term(triple, {name: value.unsqueeze(0) for name, value in sample.items()}, None, None)

    values, terms = torch.vmap(one)(given)
    return {k: v.squeeze(1) for k, v in values.items()}, {k: v.squeeze(1) for k, v in terms.items()}


def one_by_one(triple: Triple, term: Term, given: Values, num_samples: int, noise: Any) -> Result:
    """A plain run for each sample: always right, and slow."""
    if noise is not None:
        noise.keep = True
    runs = []
    for s in range(num_samples):
        evaluations.ask()  # each of them may take long
        sample = {name: value[s : s + 1] for name, value in given.items()}
        runs.append(term(triple, sample, None, lambda values, batch, s=s: _arranged(triple, values[s], batch)))
    values, terms = ({k: torch.cat([run[i][k] for run in runs]) for k in runs[0][i]} for i in (0, 1))
    return values, terms


LAYOUTS: dict[Layout, Callable[..., Result]] = {
    "plate": in_plate,
    "fold": folded,
    "vmap": vmapped,
    "loop": one_by_one,
}


def _arranged(triple: Triple, values: Tensor, batch: torch.Size) -> Tensor:
    """Noise `[S, B, n]` or `[B, n]` to `[*batch, m]`: the data plate may stand behind other plates."""
    data_dim = triple.structure.data_dim
    if data_dim is None:
        return values.reshape(*batch, -1)
    lead, position = values.dim() - 2, len(batch) + data_dim
    inner = (*batch[lead:position], *batch[position + 1 :])
    return values.reshape(*values.shape[: lead + 1], *inner, -1).movedim(lead, position)
