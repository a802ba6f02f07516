"""Flows: numbers with noise added, made normal by an invertible network."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, one_hot

from elbowroom.densities.datum_noise import DatumNoise
from elbowroom.densities.density import Cost, Density
from elbowroom.densities.training import minimise
from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_size, check_sizes
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import Bound
from elbowroom.networks.zuko_library import import_zuko

LAYERS = {"spline": 2, "maf": 3, "coupling": 6}
"""The kinds, and how many layers each has if nothing else is asked for."""

NUM_SAMPLES, NUM_REPEATS = 8, 8
"""Of `log_prob`."""

_RATES = {"spline": 2e-3, "maf": 2e-3, "coupling": 1e-3}
_BINS = 8
_EDGE = 1e-3  # of [0, 1] kept between what the logit is taken of and 0 or 1
_ROWS = 4096  # that pass through the network at a time


class FlowDensity(Density):
    """Uniform noise makes real numbers of whole ones, and a flow f makes normal ones of these.

        y = (x + u) / K,  u ~ U(0, 1)^P,    v = (logit y − m) / s,    log p(y) = log N(f(v); 0, I) + log |df/dv · dv/dy|
        log P(x) = log ∫ p(y) du − P log K ≥ E_u log p(y) − P log K                 (Theis et al. 2016, equation 4)

    f is a chain of layers, every second of which reads the values in reverse order, or changes the other half of them:

        maf        f(v)_i = a(v_<i) v_i + b(v_<i)               Papamakarios et al. (2017)
        spline     f(v)_i = rational-quadratic in v_i, by v_<i  Durkan et al. (2019)
        coupling   f(v)_i = a(v_A) v_i + b(v_A), i ∉ A          Dinh et al. (2017)

    m and s are means and standard deviations of the training data's logits. The logit is taken of 0.001 + 0.998 y: the
    little that f has beyond y = 0 and 1 belongs to no x, and draws from there count as 0 and K − 1.

    Of 17 levels of the digits the bound on 360 new data was −85.4 nats of one sample and −82.9 of eight (spline), −94.2
    and −89.5 (maf), −94.3 and −89.7 (coupling), the means of three seeds, which lay within 0.3 of each other.

    Args:
        data_dim: P, at least 2.
        levels: K.
        kind: `"spline"`, `"maf"` or `"coupling"`.
        num_layers: of f; by default `LAYERS[kind]`.
        hidden: widths of the hidden layers of each layer's network.

    Raises:
        ImportError: if zuko is not installed (`pip install 'elbowroom[flows]'`).
        TypeError, ValueError: if an argument is out of range.
    """

    bound: ClassVar[Bound] = "lower"
    avoids: ClassVar[str] = "an invertible map of normal numbers: Z is its Jacobian's determinant"
    cannot: ClassVar[str] = "more than bound the probability of whole numbers; have fewer latents than values"

    shift: Tensor
    scale: Tensor

    @checked
    def __init__(
        self,
        data_dim: int,
        levels: int = 17,
        kind: str = "spline",
        num_layers: int | None = None,
        hidden: tuple[int, ...] = (128,),
    ) -> None:
        super().__init__(data_dim, levels)
        if self.data_dim < 2:
            raise ValueError(f"data_dim: got {self.data_dim}, expected at least 2: a flow's layers predict from others")
        self.kind = check_choice("kind", kind, LAYERS)
        count = LAYERS[kind] if num_layers is None else check_size("num_layers", num_layers)
        self.layers = _layers(kind, count, self.data_dim, check_sizes("hidden", hidden))
        self.register_buffer("shift", torch.zeros(self.data_dim))
        self.register_buffer("scale", torch.ones(self.data_dim))

    @property
    def network(self) -> nn.ModuleList:  # type: ignore[override]  # the layers own these
        """The network of each layer."""
        return nn.ModuleList(layer.get_submodule("hyper") for layer in self.layers)

    def fit(self, x: Tensor, validation: Tensor | None = None, *, seed: int = 0, **options: Any) -> Self:
        """Maximise the bound with one draw of the noise for each datum and epoch.

        Args:
            x: data `[N, P]`; m and s are theirs.
            validation: data `[M, P]`.
            seed: of the order of the data and the noise.
            options: of `minimise`.

        Raises:
            TypeError, ValueError: as of `Density.fit`.
        """
        x = self.checked("x", x)
        validation = None if validation is None else self.checked("validation", validation)
        self._standardise(x)

        def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
            noise = torch.rand(rows.shape, generator=generator, dtype=rows.dtype, device=rows.device)
            return -self.log_noisy(rows, noise)

        chosen = {"num_epochs": 60, "learning_rate": _RATES[self.kind], **options}
        minimise(self, loss, x, validation, seed=seed, **chosen)
        return self

    @torch.no_grad()
    def log_prob(
        self, x: Tensor, *, seed: int = 0, num_samples: int = NUM_SAMPLES, num_repeats: int = NUM_REPEATS
    ) -> Estimate:
        """A lower bound on log P(x) in nats: E log (1/S) Σ_s p(x + u_s) / K^P, which rises with S to log P(x).

        One sample gives the bound that flows are usually told by; more of them are Burda et al. (2016), equation 8.

        Args:
            x: data `[B, P]`.
            seed: of the noise.
            num_samples: S.
            num_repeats: how often it is estimated; the value is the mean, and the spread gives its standard error.

        Raises:
            TypeError, ValueError: if the data are not `[B, P]` whole numbers, or a number is out of range.
        """
        S, R = check_size("num_samples", num_samples), check_size("num_repeats", num_repeats)
        if R < 2:
            raise ValueError("num_repeats: got 1, expected at least 2: its spread is the standard error")
        values = []
        for part in DatumNoise.of(self.checked("x", x), seed).pieces(_ROWS // (R * S)):
            noise = part.uniform("dequantisation", R * S, self.data_dim)
            log_p = torch.cat([self.log_noisy(part.x, u) for u in noise.split(_ROWS)]).double()
            values.append(log_p.unflatten(0, (R, S)).logsumexp(1) - math.log(S))
        of_each = torch.cat(values, 1)  # [R, B]
        return Estimate(of_each.mean(0), of_each.std(0) / math.sqrt(R), "lower")

    def log_noisy(self, x: Tensor, noise: Tensor) -> Tensor:
        """log p(y) − P log K for y = (x + noise)/K, `[*]`, of x and noise in [0, 1] that broadcast to `[*, P]`."""
        return self.log_density((x + noise) / self.levels) - self.data_dim * math.log(self.levels)

    def log_density(self, y: Tensor) -> Tensor:
        """log p(y) of real y in [0, 1]^P, `[*, P]` to `[*]`, in nats."""
        inside = _EDGE + (1 - 2 * _EDGE) * y
        raw = inside.logit()
        slope = math.log(1 - 2 * _EDGE) - logsigmoid(raw) - logsigmoid(-raw) - self.scale.log()  # of v in y
        v, log_det = self.forward((raw - self.shift) / self.scale)
        return slope.sum(-1) + log_det - 0.5 * (v.square() + math.log(2 * math.pi)).sum(-1)

    def forward(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """f(v) `[*, P]` and log |det df/dv| `[*]`."""
        log_det = v.new_zeros(())
        for layer in self.layers:
            v, more = layer().call_and_ladj(v)
            log_det = log_det + more
        return v, log_det

    def inverse(self, v: Tensor) -> Tensor:
        """f⁻¹(v), `[*, P]`: a pass for each value of an autoregressive layer, one of a coupling."""
        for layer in reversed(self.layers):
            v = layer().inv(v)
        return v

    @torch.no_grad()
    def sample(self, num_samples: int, *, seed: int = 0) -> Tensor:
        """Draws of x, `[num_samples, P]`: ⌊K y⌋ of draws of y."""
        like = self.shift
        generator = torch.Generator(like.device).manual_seed(seed)
        shape = check_size("num_samples", num_samples), self.data_dim
        normal = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
        raw = self.inverse(normal) * self.scale + self.shift
        y = (raw.sigmoid() - _EDGE) / (1 - 2 * _EDGE)
        return (self.levels * y).floor().clamp(0, self.levels - 1)

    def cost(self) -> Cost:
        """Passes through a layer's network: of all samples and repeats; and, autoregressive ones, of every value."""
        once = 1 if self.kind == "coupling" else self.data_dim
        return Cost(NUM_SAMPLES * NUM_REPEATS * len(self.layers), once * len(self.layers))

    def _standardise(self, x: Tensor) -> None:
        """Mean and standard deviation of the logits under the noise, from the shares of the levels."""
        inner = (torch.arange(64, dtype=x.dtype, device=x.device) + 0.5) / 64
        cells = (torch.arange(self.levels, dtype=x.dtype, device=x.device)[:, None] + inner) / self.levels
        raw = (_EDGE + (1 - 2 * _EDGE) * cells).logit()  # [K, 64]
        shares = one_hot(x.long(), self.levels).to(x).mean(0)  # [P, K]
        mean = shares @ raw.mean(1)
        self.shift.copy_(mean)
        self.scale.copy_((shares @ raw.square().mean(1) - mean.square()).sqrt())


def _layers(kind: str, count: int, num_values: int, hidden: tuple[int, ...]) -> nn.ModuleList:
    """Modules that each return, called without arguments, an invertible map of `[*, P]`."""
    zuko = import_zuko()
    places, make = list(range(num_values)), zuko.flows.MaskedAutoregressiveTransform
    nets: dict[str, Any] = {"hidden_features": hidden, "activation": nn.SiLU}
    if kind == "coupling":
        halves: Callable[[int], list[bool]] = lambda i: [place % 2 == i % 2 for place in places]  # noqa: E731
        return nn.ModuleList(
            zuko.flows.GeneralCouplingTransform(num_values, mask=halves(i), **nets) for i in range(count)
        )
    if kind == "spline":
        shapes = ((_BINS,), (_BINS,), (_BINS - 1,))
        nets |= {"univariate": zuko.transforms.MonotonicRQSTransform, "shapes": shapes}
    return nn.ModuleList(make(num_values, order=places[:: 1 - 2 * (i % 2)], **nets) for i in range(count))
