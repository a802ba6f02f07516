"""The guide of a mixture: probabilities of its components from an MLP encoder."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.networks.checks import check_batch, check_width, reference_tensor
from elbowroom.networks.mlp import DEFAULT_ACTIVATION, mlp


class AmortizedCategorical(AmortizedGuide):
    """q(k|x) = Categorical(softmax(MLP(x))) over the K components of a mixture.

        log p(x) − ELBO = KL(q(k|x) ‖ p(k|x)) = Σ_k q(k|x) (log q(k|x) − log p(k|x))

    The site `"k"` is marked for enumeration, so that training sums over k where it would draw: `fit` by itself, Pyro's
    SVI with `TraceEnum_ELBO`.

    Args:
        data_dim: P, the number of values of a datum; data `[B, ...]` are flattened to `[B, P]`.
        num_components: K.
        hidden: the widths of the encoder's hidden layers, from x to k.
        activation: as for `AmortizedNormal`.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        num_components: int,
        hidden: tuple[int, ...] = (64, 64),
        *,
        activation: str = DEFAULT_ACTIVATION,
    ) -> None:
        super().__init__()
        self.data_dim = check_size("data_dim", data_dim)
        self.num_components = check_size("num_components", num_components)
        self.encoder = mlp(self.data_dim, hidden, self.num_components, activation=activation)

    def encode(self, x: Tensor) -> dist.Categorical:
        """q(k|x) for data `x [B, P]` or `[B, ...]`: batch shape `[B]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype.
            ValueError: if x has no batch dimension, no data, or not P values per datum.
        """
        encoder = self.encoder
        x = check_batch(x, reference_tensor(encoder))
        return dist.Categorical(logits=encoder(check_width(x, self.data_dim, says="the guide's data_dim")))

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on data `x [B, ...]`.

        Args:
            x: data.
            *given: what else the model is given; the encoder does without.

        Returns:
            k: the components of this run, `[B]`, under a plate of samples `[S, B]`, enumerated `[K, 1]`.
        """
        q_k = self.encode(x)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("k", q_k, infer={"enumerate": "parallel"})
