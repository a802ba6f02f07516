"""Topic models of bags of words: shares of topics with a logistic-normal prior, mixed or multiplied."""

from collections.abc import Sequence
from functools import partial

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_above, check_choice, check_size
from elbowroom.models.latent_model import LatentModel
from elbowroom.models.likelihoods.multinomial import MultinomialVector
from elbowroom.networks.checks import check_batch


class ProdLDA(LatentModel):
    """z ~ N(0, I_K), θ = softmax(m + s z), words of a bag | θ ~ softmax(θ β): topics multiplied, or mixed as in LDA.

        x | z ~ Multinomial(Σ_w x_w, π),    π = softmax(Σ_k θ_k β_k)      topics="product" (ProdLDA)
                                            π = Σ_k θ_k softmax(β_k)      topics="mixture" (LDA)

    after Srivastava & Sutton (2017), "Autoencoding variational inference for topic models". In the product each topic
    is an expert, π ∝ ∏_k softmax(β_k)^θ_k: a word is likely if no topic of weight objects. As Σ_k θ_k = 1, what all
    topics have in common is a part of β. log p(x) is that of a bag *given its total*, see `MultinomialVector`.

    m and s are 0 and 1, or what makes θ nearly Dirichlet(α), as in the paper: the diagonal of the Laplace
    approximation in the softmax basis (MacKay 1998; Hennig et al. 2012):

        m_k = log α_k − (1/K) Σ_i log α_i,    s_k² = (1/α_k) (1 − 2/K) + (1/K²) Σ_i 1/α_i

    z is in units of its prior, so that all that is said of latents (activity, room, chains) is on one scale. One
    direction of it, a shift of all of m + s z, says nothing of x and keeps its prior. The paper normalises batches, in
    the decoder too, against topics that collapse; here are no such layers, for with them a document's p(x) would depend
    on its company. A warm-up of the KL term is the remedy. Trained and read in fifteen lines:

        from elbowroom.datasets import KINDS, load
        from elbowroom.guides import AmortizedNormal
        from elbowroom.inference import Target, fit, perplexity, quadrature
        from elbowroom.models import ProdLDA

        data = load("topics-simulated")
        (train,), (test,) = (KINDS["bag"].arguments(data, split) for split in ("train", "test"))
        model = ProdLDA(data_dim=50, num_topics=3, topics="mixture")
        guide = AmortizedNormal(50, 3, inputs="log1p")
        fit(model, guide, train, num_epochs=300, batch_size=40, learning_rate=1e-2, warmup_epochs=100)
        result = quadrature(Target(model, guide, test))
        print(result, perplexity(result, test), *model.top_words(data.vocabulary, 5), sep="\\n")

    Args:
        data_dim: V, the size of the vocabulary.
        num_topics: K, at least 2; the latent z has as many dimensions.
        topics: `"product"` or `"mixture"`.
        concentration: α of the Dirichlet, one number or K of them; by default z itself is what softmax is taken of.

    Attributes:
        beta: β, `[K, V]`, logarithms of word weights.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        num_topics: int,
        *,
        topics: str = "product",
        concentration: float | Sequence[float] | None = None,
    ) -> None:
        if check_size("num_topics", num_topics) < 2:
            raise ValueError("num_topics: got 1, expected at least 2: with one topic all bags are alike")
        super().__init__(num_topics)
        self.data_dim, self.num_topics = check_size("data_dim", data_dim), self.latent_dim
        self.combination = check_choice("topics", topics, _COMBINED)
        self.beta = nn.Parameter(torch.randn(self.num_topics, self.data_dim))
        loc, scale = torch.zeros(self.num_topics), torch.ones(self.num_topics)
        if concentration is not None:
            loc, scale = _laplace(_concentrations(concentration, self.num_topics))
        self.register_buffer("loc", loc, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def proportions(self, z: Tensor) -> Tensor:
        """θ, the share of each topic, for z `[*batch, K]`: `[*batch, K]`, rows that sum to one."""
        return torch.softmax(self.loc + self.scale * z, -1)

    def decode(self, z: Tensor, total: Tensor | None = None) -> dist.TorchDistribution:
        """p(x|z) for z `[*batch, K]`: batch shape `[*batch]`, event shape `[V]`.

        Args:
            z: latents.
            total: how many words each bag has, broadcastable with `[*batch]`; without it, draws and mean are of one
                word: the mean is π. The density reads it off the bag.
        """
        return MultinomialVector(_COMBINED[self.combination](self.proportions(z), self.beta), total)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the program on bags `x [B, V]`, see `LatentModel`; simulated bags have the totals of x."""
        total = check_batch(x, self.prior_loc).flatten(1).sum(-1)
        return self._run(x, partial(self.decode, total=total))

    @torch.no_grad()
    def topics(self) -> Tensor:
        """softmax(β), `[K, V]`: the word probabilities of a bag of one topic alone."""
        return torch.softmax(self.beta, -1)

    def top_words(self, vocabulary: Sequence[str], num_words: int = 10) -> list[list[str]]:
        """The most probable words of each topic, the first one first; K lists.

        Args:
            vocabulary: the V words, in the order of the data's columns.
            num_words: how many of each topic.

        Raises:
            ValueError: if there are not V words, or fewer than asked for.
        """
        if len(vocabulary) != self.data_dim:
            raise ValueError(f"vocabulary: got {len(vocabulary)} words, expected {self.data_dim}, one for each column")
        if check_size("num_words", num_words) > self.data_dim:
            raise ValueError(f"num_words: got {num_words}, expected at most {self.data_dim}, the whole vocabulary")
        order = self.topics().argsort(dim=-1, descending=True, stable=True)[:, :num_words]
        return [[vocabulary[word] for word in topic] for topic in order.tolist()]


def _product(theta: Tensor, beta: Tensor) -> Tensor:
    """log π up to a constant, `[*batch, V]`."""
    return theta @ beta


def _mixture(theta: Tensor, beta: Tensor) -> Tensor:
    """log π, `[*batch, V]`: a matrix product, of probabilities in units of each word's largest lest they underflow."""
    log_topics = torch.log_softmax(beta, -1)  # [K, V]
    largest = log_topics.detach().amax(0)  # whose gradient cancels
    share = theta @ (log_topics - largest).exp()  # at least the θ of that topic
    return largest + share.clamp(min=torch.finfo(share.dtype).tiny).log()


_COMBINED = {"product": _product, "mixture": _mixture}


def _concentrations(value: float | Sequence[float], num_topics: int) -> Tensor:
    """α as `[K]`."""
    if not isinstance(value, Sequence):
        return torch.full((num_topics,), check_above("concentration", value, 0))
    if len(value) != num_topics:
        raise ValueError(f"concentration: got {len(value)} numbers, expected one, or {num_topics}: one for each topic")
    return torch.tensor([check_above(f"concentration[{k}]", alpha, 0) for k, alpha in enumerate(value)])


def _laplace(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """m and s of a logistic-normal near Dirichlet(α), `[K]` each."""
    num_topics = len(alpha)
    variance = (1 - 2 / num_topics) / alpha + (1 / alpha).sum() / num_topics**2
    return alpha.log() - alpha.log().mean(), variance.sqrt()
