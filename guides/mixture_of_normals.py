"""Mixtures of diagonal Normals whose draws have gradients."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor


class MixtureOfNormals(dist.MixtureSameFamily):
    """Σ_k π_k N(m_k, diag s_k²) with the implicit gradient of a draw, for any number of dimensions.

        F_d(z_d | z_<d) = Σ_k w_k Φ((z_d − m_kd) / s_kd),    w_k ∝ π_k ∏_(j<d) N(z_j; m_kj, s_kj²)

    is uniform on [0, 1], so a draw moves with a parameter θ such that F_d stays as it is: ∂z_d/∂θ = −∂F_d/∂θ / f_d, one
    dimension after the other (Graves 2016, "Stochastic backpropagation through mixture density distributions";
    Figurnov, Mohamed & Mnih 2018, "Implicit reparameterization gradients", section 4). Gradients of expectations are
    unbiased, of the shares π too: those of Pyro 1.9.2's `MixtureOfDiagNormals` are not, up to ten times too small.
    """

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draws `[*sample_shape, *batch, D]`."""
        log_w, normal = self.mixture_distribution.logits, self.component_distribution.base_dist  # [*batch, K(, D)]
        with torch.no_grad():
            z = self._drawn(sample_shape)
        moved: list[Tensor] = []
        for d in range(z.shape[-1]):
            part = dist.Normal(normal.loc[..., d], normal.scale[..., d])  # [*batch, K]
            w, place = log_w.softmax(-1), z[..., d, None]
            cdf = (w * part.cdf(place)).sum(-1)
            density = (w * part.log_prob(place).exp()).sum(-1).detach()
            moved.append(z[..., d] - (cdf - cdf.detach()) / density.clamp_min(torch.finfo(z.dtype).tiny))
            log_w = log_w + part.log_prob(moved[-1].unsqueeze(-1))
        return torch.stack(moved, -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws without a gradient."""
        with torch.no_grad():
            return self._drawn(sample_shape)

    def _drawn(self, sample_shape: Any) -> Tensor:
        """A component, and a draw of it."""
        normal, k = self.component_distribution.base_dist, self.mixture_distribution.sample(torch.Size(sample_shape))
        place = k[..., None, None].expand(*k.shape, 1, self.event_shape[0])
        loc, scale = (
            value.expand(*k.shape, *value.shape[-2:]).gather(-2, place) for value in (normal.loc, normal.scale)
        )
        return dist.Normal(loc.squeeze(-2), scale.squeeze(-2)).sample()
