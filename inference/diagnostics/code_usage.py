"""Which codes of a codebook are used, how evenly, and which are dead."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.showing.numbers import with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table


@dataclass(frozen=True, repr=False)
class CodeUsage(Shown):
    """How often data have each code at each of L positions.

    Attributes:
        usage: shares of the data, `[L, K]`; rows sum to one.
        num_data: how many there are.
    """

    usage: Tensor
    num_data: int

    @property
    def perplexity(self) -> Tensor:
        """exp of the entropy of each position's shares, `[L]`: among how many equally frequent codes it would be.

        1 where all data have one code, K where all codes are as frequent; low by about (K − 1) / 2N of itself, as
        entropies of shares in N data are.
        """
        return torch.special.entr(self.usage).sum(-1).exp()

    @property
    def perplexity_stderr(self) -> Tensor:
        """Its standard error as a sample of data, `[L]`: perplexity · √(Var log share / N), by the delta method."""
        log_share = self.usage.clamp(min=torch.finfo(self.usage.dtype).tiny).log()
        mean = (self.usage * log_share).sum(-1, keepdim=True)
        variance = (self.usage * (log_share - mean).square()).sum(-1)
        return self.perplexity * (variance / self.num_data).sqrt()

    @property
    def dead(self) -> tuple[tuple[int, ...], ...]:
        """The codes of each position that no datum has."""
        return tuple(tuple((row == 0).nonzero().flatten().tolist()) for row in self.usage)

    def as_table(self) -> Table:
        """Of each position the perplexity, the share of its most frequent code, and the codes that are dead."""
        positions, size = self.usage.shape
        never = int((self.usage.sum(0) == 0).sum())
        title = f"use of {size} codes at {positions} positions by {self.num_data} data; {never} are used nowhere"
        both = zip(self.perplexity.tolist(), self.perplexity_stderr.tolist(), strict=True)
        rows = [
            (str(place), with_error(*number), f"{float(row.max()):.3f}", str(len(dead)), ", ".join(map(str, dead[:12])))
            for place, (number, row, dead) in enumerate(zip(both, self.usage, self.dead, strict=True))
        ]
        columns = ("position", "perplexity", "largest share", "dead", "which")
        return Table((title,), columns, ">>>><", rows[:LINES], positions, "positions")


@checked
def code_usage(codes: Tensor, num_codes: int) -> CodeUsage:
    """The shares of each code at each position.

    Args:
        codes: of N data, whole numbers 0 … K − 1, `[N, L]`, or `[N]` of one position.
        num_codes: K.

    Raises:
        ValueError: if there are no data, or codes are no such numbers.
    """
    if codes.dim() not in (1, 2) or not codes.numel() or codes.is_floating_point() or codes.dtype is torch.bool:
        raise ValueError(f"codes: got shape {tuple(codes.shape)} of {codes.dtype}, expected [N, L] of whole numbers")
    flat = codes.detach().cpu().reshape(len(codes), -1)
    if int(flat.min()) < 0 or int(flat.max()) >= num_codes:
        raise ValueError(
            f"codes: got {int(flat.min())} to {int(flat.max())}, expected 0 to {num_codes - 1} (num_codes)"
        )
    counts = torch.stack([torch.bincount(column, minlength=num_codes) for column in flat.T])
    return CodeUsage(counts.double() / len(flat), len(flat))
