"""Variational families of a datum's unconstrained coordinates: Gaussians, diagonal or full, and mixtures of them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.mcmc.metric import pull, stretch, whiten
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

_NOTHING = -1e4
"""Log share of a component that is not there; finite, so that it can be differentiated and saved."""


@dataclass(frozen=True, repr=False)
class Family(Shown):
    """q(u) = Σ_k π_k N(u; m_k, L_k L_kᵀ) for each datum; one component is a plain Gaussian.

    Attributes:
        log_share: log π_k, `[B, K]`.
        loc: m_k, `[B, K, D]`.
        scale: standard deviations `[B, K, D]`, or Cholesky factors `[B, K, D, D]`.
    """

    log_share: Tensor
    loc: Tensor
    scale: Tensor

    @classmethod
    def gaussian(cls, loc: Tensor, scale: Tensor) -> "Family":
        """One Gaussian a datum: loc `[B, D]`, scale `[B, D]` or `[B, D, D]`."""
        return cls(loc.new_zeros(len(loc), 1), loc.unsqueeze(1), scale.unsqueeze(1))

    def __len__(self) -> int:
        return len(self.loc)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All of it, in the order of the constructor."""
        return self.log_share, self.loc, self.scale

    def as_table(self) -> Table:
        """How many distributions of which form."""
        form = "diagonal" if self.is_diagonal else "full"
        title = f"{len(self)} distributions of {self.num_components} Gaussians, {form}, in {self.dim} coordinates"
        return Table((title,))

    @property
    def num_components(self) -> int:
        """K."""
        return self.loc.shape[1]

    @property
    def dim(self) -> int:
        """D."""
        return self.loc.shape[2]

    @property
    def is_diagonal(self) -> bool:
        """Whether the coordinates are independent in each component."""
        return self.scale.dim() == 3

    @property
    def log_det(self) -> Tensor:
        """log |det L_k|, `[B, K]`."""
        diagonal = self.scale if self.is_diagonal else self.scale.diagonal(dim1=-2, dim2=-1)
        return diagonal.log().sum(-1)

    @property
    def mean(self) -> Tensor:
        """The mean of q, `[B, D]`."""
        return (self.log_share.exp().unsqueeze(-1) * self.loc).sum(1)

    def at(self, noise: Tensor) -> Tensor:
        """u = m_k + L_k ε of every component, `[S, B, K, D]`; ε `[S, B, K, D]`."""
        flat = stretch(self.scale.flatten(0, 1), noise.flatten(1, 2))
        return self.loc + flat.unflatten(1, self.loc.shape[:2])

    def pulled(self, gradient: Tensor) -> Tensor:
        """L_kᵀ g, `[S, B, K, D]`: a gradient in u as one in ε."""
        flat = pull(self.scale.flatten(0, 1), gradient.flatten(1, 2))
        return flat.unflatten(1, self.loc.shape[:2])

    def whitened(self, u: Tensor) -> Tensor:
        """L_j⁻¹ (u − m_j) of every component j, `[S, B, K, D]`, at u `[S, B, D]`."""
        flat = whiten(self.scale.flatten(0, 1), (u.unsqueeze(2) - self.loc).flatten(1, 2))
        return flat.unflatten(1, self.loc.shape[:2])

    def log_density(self, u: Tensor) -> Tensor:
        """log q(u), `[S, B]`, nats, at u `[S, B, D]`."""
        return self._log_components(self.whitened(u)).logsumexp(-1)

    def log_density_and_gradient(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """log q(u) `[S, B]` and its gradient `[S, B, D]`."""
        white = self.whitened(u)
        parts = self._log_components(white)
        responsibility = parts.softmax(-1).unsqueeze(-1)  # [S, B, K, 1]
        return parts.logsumexp(-1), -(responsibility * self._unpulled(white)).sum(2)

    def select(self, data: Tensor) -> "Family":
        """The members of some of the data."""
        return Family(self.log_share[data], self.loc[data], self.scale[data])

    def where(self, chosen: Tensor, other: "Family") -> "Family":
        """These members where `chosen` `[B]` says so, the other ones elsewhere; both of the same form."""
        return Family(
            torch.where(chosen[:, None], self.log_share, other.log_share),
            torch.where(chosen[:, None, None], self.loc, other.loc),
            torch.where(chosen.reshape(-1, *(1,) * (self.scale.dim() - 1)), self.scale, other.scale),
        )

    def full(self) -> "Family":
        """The same distributions with Cholesky factors."""
        return self if not self.is_diagonal else Family(self.log_share, self.loc, torch.diag_embed(self.scale))

    def formed_as(self, other: "Family") -> "Family":
        """The same distributions in the form of another family: Cholesky factors, further components of no share.

        Only a Gaussian whose coordinates are not independent changes: it becomes the nearest that has them so.
        """
        formed = self.diagonal() if other.is_diagonal else self.full()
        missing = other.num_components - self.num_components
        if not missing:
            return formed
        nothing = formed.log_share.new_full((len(self), missing), _NOTHING)
        copies = [torch.cat([t, t[:, :1].expand(-1, missing, *t.shape[2:])], 1) for t in (formed.loc, formed.scale)]
        return Family(torch.cat([formed.log_share, nothing], 1), *copies)

    def diagonal(self) -> "Family":
        """The Gaussians of independent coordinates that are nearest in KL(q ‖ these): 1/s² = diag of the precision."""
        if self.is_diagonal:
            return self
        eye = torch.eye(self.dim, dtype=self.scale.dtype, device=self.scale.device).expand_as(self.scale)
        inverse = torch.linalg.solve_triangular(self.scale, eye, upper=False)
        return Family(self.log_share, self.loc, inverse.square().sum(-2).rsqrt())

    def _log_components(self, white: Tensor) -> Tensor:
        """log π_k N(u; m_k, L_k L_kᵀ) of every component, `[S, B, K]`, from ζ = L_k⁻¹ (u − m_k)."""
        constant = self.log_share - self.log_det - 0.5 * self.dim * math.log(2 * math.pi)
        return constant - 0.5 * white.square().sum(-1)

    def _unpulled(self, white: Tensor) -> Tensor:
        """L_j⁻ᵀ ζ, `[S, B, K, D]`."""
        if self.is_diagonal:
            return white / self.scale
        columns = white.permute(1, 2, 3, 0)  # [B, K, D, S]
        return torch.linalg.solve_triangular(self.scale.mT, columns, upper=True).permute(3, 0, 1, 2)
