"""The guide of hierarchies that weighs what x says of a layer against what the layer above says."""

from torch import Tensor, nn

from elbowroom.guides.top_down import Moments, TopDown
from elbowroom.networks.mlp import MeanStd


class Ladder(TopDown):
    """q(z_l | z_(l+1), x) ∝ N(z_l; μ̂_l(x), σ̂_l(x)²) p(z_l | z_(l+1)): likelihood and prior, weighed by precision.

        1/s² = 1/σ̂_l² + 1/s_l²,    m = s² (μ̂_l / σ̂_l² + m_l / s_l²),    q(z_L | x) = N(μ̂_L, σ̂_L²)

    Sønderby et al. (2016), "Ladder variational autoencoders", equations 17 to 19; m_l and s_l are of p(z_l | z_(l+1)).
    μ̂_l and σ̂_l = floor + softplus(·) are linear in h_l, of the deterministic pass from x up. What x says of a layer
    does not depend on the layer above.

    Sites and arguments are those of `TopDown`, and its ELBO is the same whether the model is centred or not.
    """

    def _heads(self, hidden: tuple[int, ...], activation: str) -> list[nn.Module]:
        return [MeanStd(self.upward.num_features, (), size, activation=activation) for size in self.latent_dims]

    def _noise(self, layer: int, features: Tensor, above: Tensor | None, prior: Moments) -> Moments:
        mean, std = self.heads[layer - 1](features)
        std = self.floor + std
        if above is None:
            return Moments(mean, std)
        precision = (prior.std / std).square()  # of what x says, in units of the prior's
        total = 1 + precision
        return Moments(precision / total * (mean - prior.mean) / prior.std, total.rsqrt())
