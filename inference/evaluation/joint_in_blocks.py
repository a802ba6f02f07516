"""log p(z) and log p(x | z) of very many draws: the model is recorded once, and replayed on blocks the cache holds.

A run of a Pyro program takes a millisecond whatever it is given, so it is given many draws at once, and all that it
makes of them on the way leaves the processor's cache. A record takes a tenth of that, and can be given a few at a time.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from elbowroom.inference.evaluation import budget
from elbowroom.inference.evaluation.budget import Cost, Plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded import Traced
from elbowroom.inference.programs.evaluations import counting
from elbowroom.inference.target import Target

_BLOCK_BYTES = 40 * 2**20
"""What the evaluation of a block allocates; less than a tenth is in use at a time."""

_DRAWS_BYTES = 2**27
"""What the guide allocates for the draws that blocks are taken from."""

_WORTH_BYTES = 2**32
"""What all evaluations allocate, from which on a record pays: making one takes as long as it saves in fifty blocks."""

_WORTH_COMPILING = 2**40
"""From which on compiling does, too: it takes ten seconds, of a busy processor half a minute, and saves twenty."""

_FEWEST = 16  # draws in a block: programs that need more memory for one take longer than Pyro does

_ROUNDINGS, _COMPILED_ROUNDINGS = 64.0, 1024.0
"""How far a record and a plain run may be apart: both do the same operations, and parameters may have changed; and
compiled, which sums in another order."""


class JointInBlocks:
    """`Target.log_joint` of data of a target and their draws, by a record for a block of both.

    The record is compared with a plain run on every new piece of the data (see `Traced`), and kept with the target.

    Args:
        target: the programs, whose latents are all real.
        plan: how data and draws are cut.
        samples: of each datum in a block.
        compile: whether the record is compiled.

    Attributes:
        how: "compiled", "recorded" or "run", with the reason where that is less than was asked for.
    """

    def __init__(self, target: Target, plan: Plan, samples: int, compile: bool = False) -> None:
        self.plan, self.samples, self.how = plan, samples, ""
        coordinates = Coordinates.of(target, gradients=False)
        roundings = _COMPILED_ROUNDINGS if compile else _ROUNDINGS
        self._traced = Traced(_log_joint, coordinates, compile=compile, roundings=roundings)
        self._piece: tuple[bytes, Traced] | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        num_samples: int,
        cost: Cost,
        memory_bytes: int | None,
        compile: bool | str = "auto",
    ) -> "JointInBlocks | None":
        """The blocks of S samples of all data of a target; None if the programs cannot be recorded, or need not be.

        Args:
            target, num_samples, cost, memory_bytes: as for a plan.
            compile: "auto" goes by how much there is to do; True records and compiles at once, False does neither.
        """
        room, size = budget.bytes_or_default(memory_bytes), len(target) * num_samples * cost.cell
        rows = int(min(_BLOCK_BYTES, room / 4) // cost.cell)
        worth = compile is True or (compile == "auto" and size >= _WORTH_BYTES)
        if not worth or rows < _FEWEST or not _recordable(target):
            return None
        plan = _plan_of_draws(target, num_samples, rows, int(min(_DRAWS_BYTES, room / 2)))
        if plan is None:
            return None
        samples = min(_power_of_two(rows // plan.data_at_once), num_samples)
        blocks = cls(target, plan, samples, compile is True or size >= _WORTH_COMPILING)
        piece = next(part for _, part in plan.data(target))
        with torch.no_grad():
            z = piece.propose(samples)[0]
            blocks(piece, z)
        blocks.how = blocks._on(piece).how(blocks._points(piece, z))
        return None if blocks.how == "run" else blocks

    def __call__(self, target: Target, z: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """log p(z) and log p(x | z), `[S, B]` each, nats, of a piece of the data, which `plan.data` has cut."""
        u, num_data = self._points(target, z), len(target)
        traced, blocks = self._on(target), []
        with counting(len(u) * num_data):
            for block in u.split(self.samples):
                missing = self.samples - len(block)
                padded = torch.cat([block, block[:1].expand(missing, *block.shape[1:])]) if missing else block
                blocks.append([term[: len(block), :num_data] for term in traced(padded)])
        prior, likelihood = (torch.cat(terms) for terms in zip(*blocks, strict=True))
        return prior, likelihood

    def _points(self, target: Target, z: Mapping[str, Tensor]) -> Tensor:
        """z as `[S, B, D]`, the last data over again where there are fewer than the record is of."""
        u = self._on(target).coordinates.pack(z)
        missing = self.plan.data_at_once - u.shape[1]
        return torch.cat([u, u[:, -1:].expand(-1, missing, -1)], 1) if missing else u

    def _on(self, target: Target) -> Traced:
        """The record on a piece of the data, which its keys tell from others."""
        keys = target.keys.tobytes()
        if self._piece is None or self._piece[0] != keys:
            last, size = len(target) - 1, self.plan.data_at_once
            whole = target if last + 1 == size else target.select([min(i, last) for i in range(size)])
            self._piece = keys, self._traced.on(Coordinates(whole, self._traced.coordinates.dim))
        return self._piece[1]


def _log_joint(coordinates: Coordinates, u: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z) and log p(x | z) at z = u, `[S, B]`."""
    return coordinates.target.log_joint(coordinates.unpack(u))


def _recordable(target: Target) -> bool:
    """Whether a record could be used, before it is tried: on this kind of processor, of many samples in one run."""
    latents = target.structure.latents.values()
    in_one_run = target.layouts["model"] in ("plate", "fold") and not target.structure.separate
    return in_one_run and target.device.type == "cpu" and bool(latents) and all(latent.real for latent in latents)


def _plan_of_draws(target: Target, num_samples: int, rows: int, room: int) -> Plan | None:
    """As many data and draws as have room: no more data than a block has rows, in pieces of nearly one size."""
    each = budget.bytes_per_draw(target)
    data_at_once = budget.cut(target, num_samples, Cost(0.0, 0.0, each), room).data_at_once
    if target.sliceable:
        pieces = -(-len(target) // min(data_at_once, rows))
        data_at_once = -(-len(target) // pieces)
    elif data_at_once > rows:
        return None
    samples = budget.in_noise_blocks(int(room // (data_at_once * each)))
    return Plan(len(target), data_at_once, min(samples, num_samples))


def _power_of_two(number: int) -> int:
    """The largest up to a number, at least one."""
    return 1 << max(number.bit_length() - 1, 0)
