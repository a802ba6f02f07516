"""The vector-quantised VAE: a latent is a few vectors of a codebook; log p(x) is a sum over their numbers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn import functional

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_size, check_sizes
from elbowroom.models.latent_model import Generated
from elbowroom.models.likelihoods import make_likelihood
from elbowroom.models.likelihoods.exposure import check_no_exposure
from elbowroom.models.priors import CODE_PRIORS
from elbowroom.models.priors.codes import Codes, all_codes
from elbowroom.networks.checks import check_batch, check_width
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.program import Program
from elbowroom.networks.registry import HIDDEN, make_decoder

_AT_ONCE = 1024  # codes whose log p(x|k) are computed together


class VectorQuantized(Program):
    """k ~ p(k), x | k ~ likelihood(network(e_(k_1), …, e_(k_L))): L codes of a codebook of K vectors e.

        log p(x) = log Σ_k p(k) p(x|k)    over K^L codes;    log p(x, k*) = log p(x) + log p(k*|x) at any one of them

    after van den Oord, Vinyals & Kavukcuoglu (2017), "Neural discrete representation learning", with the prior over
    codes learned beside the rest. The paper's code is the nearest one to what an encoder says: `NearestCode`. What is
    reported is log p(x), by the sum, or from below at one code; log p(x|k*), how well a datum is reconstructed, is
    neither, for it leaves out what it costs to say k*.

    Calling it with data `x [B, P]` runs the program with the sites `"codes"`, whole numbers `[L]`, and `"x"` in the
    plate `"data"`. Trained in fifteen lines, by the loss `"quantized"` of the paper:

        from elbowroom.datasets import load
        from elbowroom.guides import NearestCode
        from elbowroom.inference import Target, code_usage, fit, quadrature
        from elbowroom.models import VectorQuantized

        x = load("digits", binarize="threshold")
        model = VectorQuantized(data_dim=64, num_codes=16, num_positions=2)
        guide = NearestCode(model)
        options = {"num_epochs": 100, "batch_size": 64, "learning_rate": 1e-2, "schedule": "cosine"}
        fit(model, guide, x.train, loss="quantized", **options)
        codes = guide.nearest(x.test)
        print(quadrature(Target(model, guide, x.test)))  # log p(x) of each image, by the sum over 256 codes
        print(model.log_joint(x.test, codes).mean())  # at its nearest codes, from below
        print(code_usage(codes, num_codes=16))

    From three seeds log p(x) of the 360 test digits is −16.9 to −17.2 (each ± 0.5: 95 %, digits as a sample), and
    log p(x, k*) is 2.0 to 2.3 nats lower (± 0.4). With the uniform prior both are lower, −17.8 ± 0.5 and by 2.8 ± 0.5.

    Args:
        data_dim: P, the number of values of a datum.
        num_codes: K, the number of vectors of the codebook.
        num_positions: L, the number of codes of a datum; up to K^L = 100 000 all are summed over.
        code_dim: the dimension E of a vector.
        hidden: the widths of the decoder's hidden layers, from the vectors to x, by default (64, 64).
        likelihood: of p(x|k), a name in `LIKELIHOODS`.
        prior: `"autoregressive"`, a code given the ones before it, or `"uniform"`, as while the paper's are trained.
        prior_hidden: widths of the hidden layers of the former's network, by default (64, 64).
        sigma, floor, likelihood_options, activation: as of `VAE`, but for likelihoods that need totals.

    Attributes:
        codebook: the vectors e, `[K, E]`.

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        num_codes: int = 16,
        num_positions: int = 2,
        code_dim: int = 8,
        hidden: tuple[int, ...] | None = None,
        likelihood: str = "bernoulli",
        *,
        prior: str = "autoregressive",
        prior_hidden: tuple[int, ...] | None = None,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        activation: str = DEFAULT_ACTIVATION,
    ) -> None:
        super().__init__()
        self.data_dim = check_size("data_dim", data_dim)
        self.num_codes, self.code_dim = check_size("num_codes", num_codes), check_size("code_dim", code_dim)
        self.num_positions = check_size("num_positions", num_positions)
        options = {"sigma": sigma, "floor": floor, **(likelihood_options or {})}
        self.likelihood = make_likelihood(likelihood, data_dim=self.data_dim, **options)
        check_no_exposure(self.likelihood)
        self.decoder = make_decoder(
            "mlp",
            self.num_positions * self.code_dim,
            hidden,
            self.data_dim,
            output=self.likelihood.own_output,
            per_value=self.likelihood.per_value,
            activation=activation,
        )
        make = CODE_PRIORS[check_choice("prior", prior, CODE_PRIORS)]
        widths = HIDDEN if prior_hidden is None else check_sizes("prior_hidden", prior_hidden)
        self.codes = make(self.num_positions, self.num_codes, widths, activation)
        self.codebook = nn.Parameter(torch.randn(self.num_codes, self.code_dim))
        self._copied: Tensor | None = None

    def prior(self) -> Codes:
        """p(k), the same for every datum: batch shape `[]`, event shape `[L]`."""
        p_k: Codes = self.codes()
        return p_k

    def code_distribution(self, logits: Tensor) -> Codes:
        """Independent codes with logits `[*batch, L, K]`, as a guide draws them: event shape `[L]`."""
        return Codes.of_logits(logits)

    def distances(self, vectors: Tensor) -> Tensor:
        """Squared distances of vectors `[*batch, L, E]` to those of the codebook, `[*batch, L, K]`."""
        return (vectors.unsqueeze(-2) - self.codebook).square().sum(-1)

    def embed(self, codes: Tensor) -> Tensor:
        """e of each code `[*batch, L]`: `[*batch, L, E]`."""
        vectors = functional.embedding(codes, self.codebook)
        return vectors if self._copied is None else self._copied + (vectors - self._copied).detach()

    @contextmanager
    def copying(self, vectors: Tensor) -> Iterator[None]:
        """Inside, what is decoded are the vectors of codes with the gradient of these: the straight-through estimator.

        Args:
            vectors: what an encoder says, broadcastable with `[*batch, L, E]`.
        """
        self._copied = vectors
        try:
            yield
        finally:
            self._copied = None

    def decode(self, codes: Tensor) -> dist.TorchDistribution:
        """p(x|k) for codes `[*batch, L]`: batch shape `[*batch]`, event shape `[P]`."""
        outputs = self.decoder(self.embed(codes).flatten(-2))
        p_x: dist.TorchDistribution = self.likelihood(*((outputs,) if isinstance(outputs, Tensor) else outputs))
        return p_x

    def forward(self, x: Tensor) -> Tensor:
        """Runs the program on data `x [B, P]` or `[B, ...]`.

        Returns:
            codes: those of this run, `[B, L]`, under a plate of samples `[S, B, L]`, enumerated `[K^L, 1, L]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype.
            ValueError: if x has no batch dimension, no data, or not P values per datum.
        """
        x = self._checked(x)
        with pyro.plate("data", len(x), dim=-1):
            codes = pyro.sample("codes", self.prior())
            pyro.sample("x", self.decode(codes), obs=x)
        return codes

    def log_joint(self, x: Tensor, codes: Tensor) -> Tensor:
        """log p(x, k) in nats of data `[B, P]` and their codes `[*batch, L]`, which broadcast: of every k a lower bound
        on log p(x)."""
        log_p: Tensor = self.prior().log_prob(codes) + self.decode(codes).log_prob(self._checked(x))
        return log_p

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, `[B]`, exactly: the sum over all codes.

        Raises:
            NotImplementedError: if there are more than 100 000 of them.
        """
        x = self._checked(x)
        every = all_codes(self.num_positions, self.num_codes, x.device).unsqueeze(1)  # [K^L, 1, L]
        parts = [self.log_joint(x, codes).logsumexp(0) for codes in every.split(_AT_ONCE)]
        return torch.stack(parts).logsumexp(0)

    @torch.no_grad()
    def generate(self, num_samples: int, *, seed: int = 0) -> Generated:
        """Draws codes k ~ p(k) `[N, L]` and the mean of x given each `[N, P]`; the global random state is left alone.

        Args:
            num_samples: N, how many.
            seed: the same seed gives the same draws.
        """
        size = torch.Size((check_size("num_samples", num_samples),))
        devices = [self.codebook.device] if self.codebook.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            codes = self.prior().sample(size)
        return Generated(codes, self.decode(codes).mean)

    def _checked(self, x: Tensor) -> Tensor:
        return check_width(check_batch(x, self.codebook), self.data_dim, says="the model's data_dim")
