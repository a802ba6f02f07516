"""The hierarchical variational autoencoder: layers of latents, each with a prior that depends on the one above."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size, check_sizes
from elbowroom.models.latent_model import Generated
from elbowroom.models.priors import CONDITIONAL_PRIORS, standard_normal
from elbowroom.models.vae import VAE
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.registry import HIDDEN

Draw = Callable[[int, dist.TorchDistribution], Tensor]
"""From a layer, counted from 1, and p(z_l | z_(l+1)) to a value of z_l."""


class HierarchicalVAE(VAE):
    """z_L ~ N(0, I), z_l | z_(l+1) ~ N(m_l(z_(l+1)), diag s_l(z_(l+1))²), x | z_1 ~ likelihood(network(z_1)): L layers.

        p(x) = ∫ p(z_L) ∏_l p(z_l | z_(l+1)) p(x | z_1) dz

    after Sønderby et al. (2016), "Ladder variational autoencoders", equations 1 to 3. The prior of what is decoded is
    learned, so p(x) may be more than a VAE of one layer can have; nothing makes q(z|x) closer to the posterior. On the
    binarised digits, layers of 10 and 4 with `BottomUp` against a VAE of 10 latents, both of width 128 and trained for
    150 epochs, 50 of them a warm-up: at a learning rate of 3e-3 the hierarchy is ahead by half a nat of validation
    log p(x) (one seed). With the best rate for each, 3e-3 and 2e-2, it is not: log p(x) of the test data is −16.57 and
    −16.56 (means of three seeds; the difference, −0.01 ± 0.10 over data, was −0.04, 0.12 and −0.10), the room 1.24
    against 1.80 (`benchmarks/two_layers_digits.py`).

    The same p(x) is written in one of two ways. The sites are `"e1"` … `"eL"`, e_l ~ N(0, I) and z_l = m_l + s_l e_l
    (non-centred); or with `centred=True` `"z1"` … `"zL"`. Where layers follow each other closely, s_l ≪ 1, the
    posterior of z is a funnel in which Markov chains get stuck, that of e is not; the guides' ELBO is the same for both
    (`BottomUp` needs `centred=True`). A run begins with layer L; all sites and `"x"` stand in the plate `"data"`.
    Trained in fifteen lines:

        from elbowroom.datasets import load
        from elbowroom.guides import BottomUp
        from elbowroom.inference import Target, attribute_sites, fit, importance
        from elbowroom.models import HierarchicalVAE

        data = load("digits", binarize="threshold")
        model = HierarchicalVAE(data_dim=64, latent_dims=(10, 4), hidden=(128,), centred=True)
        guide = BottomUp(model, hidden=(128,))
        fit(model, guide, data.train, num_epochs=150, batch_size=64, learning_rate=3e-3, warmup_epochs=50)
        target = Target(model, guide, data.test)
        result = importance(target, num_samples=1000)
        print(result)
        print(attribute_sites(target, log_p=result))  # the room, layer by layer

    Args:
        data_dim: P, the number of values of a datum.
        latent_dims: D_1, …, D_L, the number of latent variables of each layer, from the one next to x up; at least two.
        hidden: the widths of the decoder's hidden layers, from z_1 to x, by default (64, 64).
        likelihood, sigma, floor, likelihood_options, activation: of p(x | z_1), as of `VAE`; the priors' networks have
            the same activation.
        centred: whether the sites are z_l, and not e_l.
        prior_hidden: widths of the hidden layers of each prior's network, by default as `hidden`. `()` makes m_l linear
            and s_l a softplus of a linear map.

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dims: tuple[int, ...] = (10, 4),
        hidden: tuple[int, ...] | None = None,
        likelihood: str = "bernoulli",
        *,
        centred: bool = False,
        prior_hidden: tuple[int, ...] | None = None,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        activation: str = DEFAULT_ACTIVATION,
    ) -> None:
        sizes = _check_layers(latent_dims)
        super().__init__(
            data_dim,
            sizes[0],
            hidden,
            likelihood,
            sigma=sigma,
            floor=floor,
            likelihood_options=likelihood_options,
            activation=activation,
        )
        self.latent_dims, self.centred = sizes, bool(centred)
        widths = hidden if prior_hidden is None else prior_hidden
        widths = HIDDEN if widths is None else check_sizes("prior_hidden", widths)
        make = CONDITIONAL_PRIORS["learned"]
        self.priors = nn.ModuleList(make(above, size, widths, activation) for size, above in pairwise(sizes))

    @property
    def num_layers(self) -> int:
        """L."""
        return len(self.latent_dims)

    def site(self, layer: int) -> str:
        """The name of a layer's site, `"z1"` or `"e1"` of the one next to x."""
        return f"{'z' if self.centred else 'e'}{layer}"

    def prior(self) -> dist.TorchDistribution:
        """p(z_L) = N(0, I): batch shape `[]`, event shape `[D_L]`."""
        return self._standard(self.num_layers)

    def layer_prior(self, layer: int, above: Tensor | None) -> dist.TorchDistribution:
        """p(z_l | z_(l+1)), a diagonal Normal, for z_(l+1) `[*batch, D_(l+1)]`: batch shape `[*batch]`; the prior of
        layer L, which has none above."""
        if above is None:
            return self.prior()
        p_z: dist.TorchDistribution = self.priors[layer - 1](above)
        return p_z

    def layers(self, sites: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """z_1, …, z_L, each `[*batch, D_l]`, from values of the sites, such as posterior draws."""
        if self.centred:
            return self._layers(lambda layer, _: sites[self.site(layer)])
        return self._layers(lambda layer, p_z: _moved(p_z, sites[self.site(layer)]))

    def log_joint(self, x: Tensor, z: Tensor, exposure: Tensor | None = None) -> Tensor:
        """Not defined: p(x, z_1) alone is an integral over the layers above; `Target.log_joint` takes all layers.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "log p(x, z) of one vector z: this model has several layers of latents; Target(model, guide, x).log_joint "
            "takes a value for each site"
        )

    @torch.no_grad()
    def generate(self, num_samples: int, *, seed: int = 0) -> Generated:
        """Draws z_1 ~ p(z_1), by way of the layers above, and the mean of x given it; no global random state is used.

        Args:
            num_samples: N, how many.
            seed: the same seed gives the same draws.
        """
        shape, like = (check_size("num_samples", num_samples),), self.prior_loc
        generator = torch.Generator(device=like.device).manual_seed(seed)

        def draw(layer: int, p_z: dist.TorchDistribution) -> Tensor:
            size = (*shape, self.latent_dims[layer - 1])
            return _moved(p_z, torch.randn(size, generator=generator, dtype=like.dtype, device=like.device))

        z = self._layers(draw)[0]
        return Generated(z, self.decode(z).mean)

    def _draw(self) -> Tensor:
        """z_1, which is decoded, from the sites of all layers."""
        return self._layers(self._sampled)[0]

    def _sampled(self, layer: int, p_z: dist.TorchDistribution) -> Tensor:
        if self.centred:
            z: Tensor = pyro.sample(self.site(layer), p_z)
            return z
        return _moved(p_z, pyro.sample(self.site(layer), self._standard(layer)))

    def _standard(self, layer: int) -> dist.TorchDistribution:
        """N(0, I) of a layer's size, in the dtype and on the device of the parameters."""
        zeros = self.prior_loc.new_zeros(self.latent_dims[layer - 1])
        return standard_normal(zeros, torch.ones_like(zeros))

    def _layers(self, draw: Draw) -> tuple[Tensor, ...]:
        """z_1, …, z_L, each drawn given the one above."""
        z: list[Tensor] = []
        for layer in range(self.num_layers, 0, -1):
            z.append(draw(layer, self.layer_prior(layer, z[-1] if z else None)))
        return tuple(reversed(z))


def _moved(p_z: Any, noise: Tensor) -> Tensor:
    """m + s e for a diagonal Normal."""
    moved: Tensor = p_z.base_dist.loc + p_z.base_dist.scale * noise
    return moved


def _check_layers(latent_dims: Any) -> tuple[int, ...]:
    sizes = check_sizes("latent_dims", latent_dims)
    if len(sizes) < 2:
        raise ValueError(
            f"latent_dims: got {sizes}, expected a size for each of two layers or more, such as (10, 4); of one layer "
            "it is VAE"
        )
    return sizes
