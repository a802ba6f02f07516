"""A mixture: one finite latent, the component that a datum comes from; log p(x) and p(k|x) are sums."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_at_least, check_choice, check_size
from elbowroom.models.expectation_maximisation import FAMILIES, maximise
from elbowroom.models.latent_model import Generated
from elbowroom.models.likelihoods import make_likelihood
from elbowroom.models.likelihoods.exposure import check_no_exposure
from elbowroom.networks.checks import check_batch, check_width
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.program import Program
from elbowroom.networks.registry import HEADS


class FittedMixture(NamedTuple):
    """What `Mixture.fit_em` returns.

    Attributes:
        model: at the last step's parameters, in the dtype and on the device of the data.
        trace: the objective at the start and after each step, `[T + 1]`, nats per datum, never falling but by rounding.
        converged: whether the last step's gain was below the tolerance.
    """

    model: "Mixture"
    trace: Tensor
    converged: bool


class Mixture(Program):
    """k ~ Categorical(π), x | k ~ likelihood(parameters of component k): a mixture, as in Bishop (2006, chapter 9).

        log p(x) = log Σ_k π_k p(x|k),    p(k|x) = π_k p(x|k) / p(x)

    The sites are `"k"` and `"x"` in the plate `"data"`. `fit` and `Target` sum k out if the guide leaves it to them:

        from elbowroom.datasets import load
        from elbowroom.guides import AmortizedCategorical, NoLatents
        from elbowroom.inference import Target, fit, importance
        from elbowroom.models import Mixture

        x = load("digits", binarize="threshold")
        by_em = Mixture.fit_em(x.train, 20).model
        by_svi = Mixture.fit_em(x.train, 20, max_steps=0).model  # where EM starts: at data far from each other
        fit(by_svi, NoLatents(), x.train, num_epochs=100, learning_rate=0.02, schedule="cosine")
        print(by_em.log_prob(x.test).mean(), by_svi.log_prob(x.test).mean())

        encoder = AmortizedCategorical(64, 20)
        fit(by_svi, encoder, x.train, num_epochs=20)
        print(importance(Target(by_svi, encoder, x.test), num_samples=100).info["elbo"].mean())

    Args:
        data_dim: P, the number of values of a datum.
        num_components: K.
        likelihood: `"bernoulli"` (zeros and ones), `"normal-fixed"` (needs `sigma`), `"normal-learned"` (one learned σ
            for all, starting from `sigma`) or `"normal-heteroscedastic"` (a σ for each component and value),
            or any other that `VAE` takes, but for counts with an exposure.
        sigma, floor, likelihood_options: of the likelihood, as for `VAE`.

    Attributes:
        weight_logits: log π up to a constant, `[K]`.

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        num_components: int,
        likelihood: str = "bernoulli",
        *,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.data_dim = check_size("data_dim", data_dim)
        self.num_components = check_size("num_components", num_components)
        options = {"sigma": sigma, "floor": floor, **(likelihood_options or {})}
        self.likelihood = make_likelihood(likelihood, data_dim=self.data_dim, **options)
        check_no_exposure(self.likelihood)
        make_head, width = HEADS[self.likelihood.own_output], self.likelihood.per_value * self.data_dim
        self.components = make_head(self.num_components, (), width, activation=DEFAULT_ACTIVATION, make=_table)
        self.weight_logits = nn.Parameter(torch.zeros(self.num_components))

    @property
    def table(self) -> nn.Parameter:
        """What the likelihood is told of each component, side by side, `[K, ...]`.

        Logits or means `[K, P]`; means and softplus⁻¹(σ − floor) `[K, 2 P]`.
        """
        return next(self.components.parameters())

    @property
    def weights(self) -> Tensor:
        """π, `[K]`."""
        return self.weight_logits.softmax(-1)

    def decode(self, k: Tensor) -> dist.TorchDistribution:
        """p(x|k) for whole numbers k `[*batch]`: batch shape `[*batch]`, event shape `[P]`."""
        outputs = self.components(k)
        return self.likelihood(*((outputs,) if isinstance(outputs, Tensor) else outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Runs the program on data `x [B, P]` or `[B, ...]`.

        Returns:
            k: the components of this run, `[B]`, under a plate of samples `[S, B]`, enumerated `[K, 1]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype.
            ValueError: if x has no batch dimension, no data, or not P values per datum.
        """
        x = self._checked(x)
        with pyro.plate("data", len(x), dim=-1):
            k = pyro.sample("k", dist.Categorical(logits=self.weight_logits))
            pyro.sample("x", self.decode(k), obs=x)
        return k

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, `[B]`, exactly."""
        return self._log_joint(x).logsumexp(-1)

    def posterior(self, x: Tensor) -> dist.Categorical:
        """p(k|x): batch shape `[B]`."""
        return dist.Categorical(logits=self._log_joint(x))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """E[x′|x] = Σ_k p(k|x) E[x′|k], of another datum of the same component, `[B, P]`."""
        means = self.decode(torch.arange(self.num_components, device=self.weight_logits.device)).mean
        return self.posterior(x).probs @ means

    @torch.no_grad()
    def generate(self, num_samples: int, *, seed: int = 0) -> Generated:
        """Draws components k ~ π `[N]` and their means `[N, P]`; the global random state is neither read nor moved.

        Args:
            num_samples: N, how many.
            seed: the same seed gives the same draws.
        """
        generator = torch.Generator(device=self.weight_logits.device).manual_seed(seed)
        size = check_size("num_samples", num_samples)
        k = torch.multinomial(self.weights, size, replacement=True, generator=generator)
        return Generated(k, self.decode(k).mean)

    @classmethod
    @torch.no_grad()
    def fit_em(
        cls,
        x: Tensor,
        num_components: int,
        *,
        likelihood: str = "bernoulli",
        concentration: float = 1.0,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        tolerance: float = 1e-6,
        max_steps: int = 1000,
        num_starts: int = 1,
        seed: int = 0,
    ) -> FittedMixture:
        """The mixture at a maximum of the posterior density of its parameters, by expectation-maximisation.

            L = (1/B) [Σ_b log p(x_b) + a Σ_k (log π_k + E log p(x | k))]

        The expectation is over x as all data are on average. It stands for the prior of component k's parameters, which
        gives it `a` such data beside its own (for zeros and ones a Beta, for π a Dirichlet); a = 0 is maximum
        likelihood. All is computed in 64 bits; formulas and sources are in `expectation_maximisation.py`. The maximum
        is a local one: another start finds another.

        Args:
            x: the data, `[B, P]` or `[B, ...]`.
            num_components: K, not more than the data.
            likelihood, sigma, floor, likelihood_options: see the class; zeros and ones, Normals, or `"categorical"`
                with its levels.
            concentration: a, in data; it keeps probabilities from 0 and 1, σ from 0, and components from emptying.
            tolerance: the gain of a step, in nats per datum, below which it stops.
            max_steps: the number of steps after which it stops. 0 returns the start, from where `fit` gets further than
                from random parameters, with which some components never get data.
            num_starts: from how many starts EM is run; the one with the highest L is returned.
            seed: of the starts: data far from each other (k-means++), each mixed with all of them.

        Raises:
            TypeError: if x is not a floating-point tensor.
            ValueError: if x has non-finite values or ones that the likelihood cannot have, there are more components
                than data, or a number is out of range.
        """
        make_family = FAMILIES[check_choice("likelihood", likelihood, FAMILIES)]
        flat = _finite(x)
        if check_size("num_components", num_components) > len(flat):
            raise ValueError(f"num_components: got {num_components}, expected at most the {len(flat)} data")
        with torch.random.fork_rng(devices=[]):  # what it is built with is not kept
            options = {"sigma": sigma, "floor": floor, "likelihood_options": likelihood_options}
            model = cls(flat.shape[1], num_components, likelihood, **options).to(x)  # type: ignore[arg-type]
        model.decode(torch.zeros(len(flat), dtype=torch.long, device=x.device)).log_prob(flat)  # refuses wrong values
        a, least = check_at_least("concentration", concentration, 0), check_at_least("tolerance", tolerance, 0)
        steps = check_size("max_steps", max_steps) if max_steps else 0
        generator = torch.Generator(device=x.device).manual_seed(seed)
        ends = []
        for _ in range(check_size("num_starts", num_starts)):
            family = make_family(flat.double(), model.likelihood)
            ends.append((family, maximise(family, num_components, a, least, steps, generator)))
        family, found = max(ends, key=lambda end: float(end[1].trace[-1]))
        model.weight_logits.copy_(found.log_weights)
        family.write(found.natural, model.table)
        return FittedMixture(model, found.trace, found.converged)

    def _checked(self, x: Tensor) -> Tensor:
        return check_width(check_batch(x, self.weight_logits), self.data_dim, says="data_dim")

    def _log_joint(self, x: Tensor) -> Tensor:
        """log π_k + log p(x_b|k), `[B, K]`, one component at a time: nothing is as large as `[B, K, P]`."""
        x = self._checked(x)
        components = torch.arange(self.num_components, device=x.device)
        log_likelihood = torch.stack([self.decode(k).log_prob(x) for k in components], -1)
        return self.weight_logits.log_softmax(-1) + log_likelihood


def _table(num_inputs: int, hidden: tuple[int, ...], num_outputs: int, *, activation: str) -> nn.Module:
    """A row for each component, near each other: then none is left without data from the first step on."""
    table = nn.Embedding(num_inputs, num_outputs)
    nn.init.normal_(table.weight, std=0.3)
    return table


def _finite(x: Tensor) -> Tensor:
    """`x` as finite floating-point numbers `[B, P]`."""
    if not (isinstance(x, Tensor) and x.is_floating_point()):
        raise TypeError(f"x: got {getattr(x, 'dtype', type(x).__name__)}, expected a floating-point tensor [B, P]")
    flat = check_batch(x, x).flatten(1)
    if not bool(flat.isfinite().all()):
        raise ValueError("x: got NaN or infinite values, expected finite ones; drop or repair those rows")
    return flat
