"""Linear hierarchies, whose p(x) is that of PPCA, and guides that are their exact posterior."""

import torch
from torch import Tensor, nn

from elbowroom.guides import BottomUp, Ladder, TopDown
from elbowroom.models import PPCA, HierarchicalVAE

GUIDES = {"bottom-up": BottomUp, "top-down": TopDown, "ladder": Ladder}
FLOOR = 1e-6


def linear_hierarchy(
    latent_dims: tuple[int, ...], data_dim: int = 3, *, centred: bool, sigma: float = 0.6
) -> HierarchicalVAE:
    """z_L ~ N(0, I), z_l = A_l z_(l+1) + b_l + s_l e_l, x = W z_1 + μ + σ ε, all of it drawn at random."""
    model = HierarchicalVAE(data_dim, latent_dims, (), "normal-learned", centred=centred, sigma=sigma)
    with torch.no_grad():
        for prior in model.priors:
            linear = prior.network.layers[0]
            linear.weight[len(linear.weight) // 2 :] = 0.0  # s_l does not depend on what is above
    return model


def as_ppca(model: HierarchicalVAE) -> PPCA:
    """The PPCA with the same p(x) whose z are e_1, …, e_L: W [diag s_1, A_1 diag s_2, …, A_1 … A_(L−1)]."""
    decoder = model.decoder[0]
    ppca = PPCA(model.data_dim, sum(model.latent_dims), sigma=model.likelihood.sigma.item())
    weight, mean, columns = decoder.weight, decoder.bias, []
    for prior in model.priors:
        a, b, s = affine(prior.network)
        columns.append(weight * (FLOOR + s))
        mean, weight = mean + weight @ b, weight @ a
    with torch.no_grad():
        ppca.loadings.copy_(torch.cat([*columns, weight], 1))
        ppca.mean.copy_(mean)
    return ppca


def affine(head: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """A, b and s of a linear network of two heads, s whatever its input is."""
    linear = head.layers[0]
    (weight, _), (bias, raw) = linear.weight.chunk(2), linear.bias.chunk(2)
    return weight, bias, nn.functional.softplus(raw)


def exact_guide(name: str, model: HierarchicalVAE) -> nn.Module:
    """The posterior of a linear hierarchy of two layers of one latent each, as that guide."""
    guide = GUIDES[name](model, ())
    w, offset = model.decoder[0].weight[:, 0], model.decoder[0].bias  # [P]
    (a, b, s), sigma = affine(model.priors[0].network), model.likelihood.sigma
    a, b, s = a[0, 0], b[0], FLOOR + s[0]
    noise, power = sigma.square(), w.square().sum()
    if name == "bottom-up":
        variance = a.square() + s.square()  # of z_1, a priori
        precision, above = 1 / variance + power / noise, 1 + (a / s).square()
        _tell(guide.encoder, [w / noise / precision], (b / variance - w @ offset / noise) / precision, precision)
        _tell(guide.upward[0], [(a / s.square() / above).reshape(1)], -a * b / s.square() / above, above)
        return guide
    # z_2 given x, with z_1 integrated out.
    spread = noise + s.square() * power
    precision = 1 + a.square() * power / spread
    _tell(guide.heads[1], [a * w / spread / precision], -a * (w @ offset + power * b) / spread / precision, precision)
    if name == "ladder":
        _tell(guide.heads[0], [w / power], -w @ offset / power, power / noise)
    else:  # e_1 given z_2 and x
        precision = 1 + s.square() * power / noise
        slope = s / noise / precision
        _tell(guide.heads[0], [-slope * power * a.reshape(1), slope * w], -slope * (w @ offset + power * b), precision)
    return guide


def _tell(head: nn.Module, slopes: list[Tensor], bias: Tensor, precision: Tensor) -> None:
    """Make a linear network say a mean that is linear in its inputs, and one standard deviation."""
    linear = head.layers[0]
    with torch.no_grad():
        linear.weight[0], linear.weight[1], linear.bias[0] = torch.cat(slopes), 0.0, bias
        linear.bias[1] = torch.expm1(precision.rsqrt() - FLOOR).log()
