"""Some of the data of programs that cannot be cut: all are evaluated, and the answers picked."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.terms import Result, Term
from elbowroom.inference.programs.triple import Triple

OnWhole = Callable[[Triple, Term, Mapping[str, Tensor], Noise | None], Result]
"""(all data, a term, values of all data, their noise) -> its values and terms, `[S, B, ...]`."""


def on_whole(triple: Triple, term: Term, given: Mapping[str, Tensor], noise: Noise | None, run: OnWhole) -> Result:
    """A term for the picked data of a triple, each with its own values and noise, `[S, R, ...]`.

    The data that were not picked are given the values of one that was, and their answers are dropped. A datum that was
    picked n times takes n evaluations.
    """
    assert triple.whole is not None and triple.picked is not None
    index, pieces, places = triple.picked, [], []
    for rows in _rounds(index):
        source = torch.full((len(triple.whole),), int(rows[0]))
        source[index[rows]] = rows
        filled = {name: _filled(value, source, index[rows], rows) for name, value in given.items()}
        keyed, asked = noise, term
        if noise is not None:
            keyed = _noise_of_all(triple.whole, noise, index[rows].numpy(), rows.numpy())
            assert isinstance(term, partial)
            asked = partial(term.func, *term.args, **{**term.keywords, "noise": keyed})
        result = run(triple.whole, asked, filled, keyed)
        pieces.append([{k: v[:, index[rows].to(v.device)] for k, v in part.items()} for part in result])
        places.append(rows)
    back = torch.cat(places).argsort()
    values, terms = (
        {k: torch.cat([piece[i][k] for piece in pieces], 1)[:, back.to(pieces[0][i][k].device)] for k in pieces[0][i]}
        for i in (0, 1)
    )
    return values, terms


def _rounds(index: Tensor) -> list[Tensor]:
    """Positions in an index in groups that hold no datum twice."""
    seen: dict[int, int] = {}
    groups: list[list[int]] = []
    for position, datum in enumerate(index.tolist()):
        again = seen.get(datum, 0)
        seen[datum] = again + 1
        if again == len(groups):
            groups.append([])
        groups[again].append(position)
    return [torch.tensor(group) for group in groups]


def _filled(value: Tensor, source: Tensor, picked: Tensor, rows: Tensor) -> Tensor:
    """Values of all data: the picked ones' own, and copies, without gradient, for the others."""
    device = value.device
    every = value.detach()[:, source.to(device)]
    return every.index_copy(1, picked.to(device), value[:, rows.to(device)])


def _noise_of_all(whole: Triple, noise: Noise, picked: np.ndarray, rows: np.ndarray) -> Noise:
    keys = whole.keys.copy()
    keys[picked] = noise.keys[rows]
    return Noise(noise.seed, keys, noise.num_samples, noise.start)
