"""Sums over discrete latents of products of densities, in log space, exact where the products underflow.

A factor is a log density over plates and enumerated dims. To sum a dim out is to add the factors that hold it and take
their log-sum-exp (variable elimination); plates are multiplied out, from the innermost outwards, once all that is
summed inside them is gone (Obermeyer et al. 2019, "Tensor Variable Elimination for Plated Factor Graphs"). Pyro's own
contraction multiplies exponentials of factors that are each scaled by itself: where one factor is for a value and
another against it by more than the exponent of a float (103 nats in float32), all products are zero, the sum −∞.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from math import prod

import torch
from pyro.ops.contract import contract_to_tensor
from pyro.ops.rings import LogRing
from torch import Tensor

from elbowroom.inference.programs.private_pyro import dims_of, with_dims


def log_sum_product(factors: Mapping[frozenset[str], Sequence[Tensor]], dims: set[str], kept: frozenset[str]) -> Tensor:
    """log Σ_dims exp Σ factors, over the plates that are kept.

    Args:
        factors: plates -> packed log densities (`pyro.ops.packed`) in them.
        dims: the enumerated dims.
        kept: the plates that stay.
    """
    tree = OrderedDict((plates, list(terms)) for plates, terms in factors.items())
    return contract_to_tensor(tree, dims, target_ordinal=kept, ring=_LogSums())


def log_sum_exp(terms: Tensor, dim: int) -> Tensor:
    """`torch.logsumexp`, whose gradient is zero, not NaN, where all terms are −∞."""
    nothing = (terms == -torch.inf).all(dim, keepdim=True)
    total = terms.masked_fill(nothing, 0.0).logsumexp(dim)
    return total.masked_fill(nothing.squeeze(dim), -torch.inf)


class _LogSums(LogRing):
    """Pyro's operations on packed log densities, with sums that do not underflow."""

    def sumproduct(self, terms: Iterable[Tensor], dims: Iterable[str]) -> Tensor:
        """Eliminate dims one by one, each time the one that joins the smallest factor."""
        left = list(terms)
        where = {dim: [t for t in left if dim in dims_of(t)] for dim in sorted(dims)}
        costs = {dim: _size(joined) for dim, joined in where.items()}
        while costs:
            dim = min(costs, key=costs.__getitem__)
            del costs[dim]
            joined = where.pop(dim)
            product = _product(joined)
            place = dims_of(product).index(dim)
            summed = with_dims(log_sum_exp(product, place), dims_of(product).replace(dim, ""))
            gone = {id(t) for t in joined}
            left = [t for t in left if id(t) not in gone] + [summed]
            for other in costs.keys() & set(dims_of(summed)):
                where[other] = [t for t in where[other] if id(t) not in gone] + [summed]
                costs[other] = _size(where[other])
        return _product(left)


def _product(terms: Sequence[Tensor]) -> Tensor:
    """The sum of log densities over the union of their dims."""
    dims = "".join(sorted(set("".join(map(dims_of, terms)))))
    total = sum((_spread(term, dims) for term in terms[1:]), _spread(terms[0], dims))
    return with_dims(total[...], dims)  # one of its own: a packed tensor has one set of names


def _spread(term: Tensor, dims: str) -> Tensor:
    """A term with a dim for each of `dims`, of size 1 where it has none."""
    own = dims_of(term)
    order = [own.index(dim) for dim in dims if dim in own]
    sizes = dict(zip(own, term.shape, strict=True))
    return term.permute(order).reshape([sizes.get(dim, 1) for dim in dims])


def _size(terms: Sequence[Tensor]) -> int:
    return prod({dim: n for t in terms for dim, n in zip(dims_of(t), t.shape, strict=True)}.values())
