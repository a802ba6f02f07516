"""The conditional variational autoencoder: data given a class, a part of themselves, or anything else known."""

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_sizes
from elbowroom.models.context_model import ContextModel
from elbowroom.models.priors import CONDITIONAL_PRIORS
from elbowroom.networks.checks import check_batch, check_width
from elbowroom.networks.context import check_context, context_size
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.registry import HIDDEN


class ConditionalVAE(ContextModel):
    """z ~ N(m(c), diag s(c)²), x | z, c ~ likelihood(network(z, c)): a VAE of data of which a context c is known.

        log p(x|c) = log ∫ p(z|c) p(x|z, c) dz,    the number that is reported: nats of x given c, not of both

    after Sohn, Lee & Yan (2015), "Learning structured output representation using deep conditional generative models",
    equations 3 and 4. The context is a class label, read as one-hot, or a vector: of an image that is completed, the
    part that is seen (`KINDS["completion"]`). Where nothing reads it, this is the VAE.

    Calling it with data `x [B, P]` and contexts `[B, C]`, or labels `[B]` of an integer dtype, runs the program with
    the sites `"z"` and `"x"` in the plate `"data"`; its guide is `ConditionalNormal`. Trained in fifteen lines:

        from elbowroom.datasets import KINDS, load
        from elbowroom.guides import ConditionalNormal
        from elbowroom.inference import Target, fit, quadrature
        from elbowroom.models import ConditionalVAE

        data = load("digits", binarize="threshold")
        train, test = (KINDS["labelled"].arguments(data, split) for split in ("train", "test"))
        model = ConditionalVAE(data_dim=64, latent_dim=2, num_classes=10)
        guide = ConditionalNormal(data_dim=64, latent_dim=2, context_dim=10)
        fit(model, guide, train, num_epochs=200, batch_size=64, learning_rate=3e-3, schedule="cosine")
        print(quadrature(Target(model, guide, *test)))  # log p(x|label) of each image
        print(model.generate(train[1][:5]).mean)  # an image of each of five labels

    and of the lower half of an image, given its upper half:

        from elbowroom.datasets import KINDS, load
        from elbowroom.guides import ConditionalNormal
        from elbowroom.inference import Target, fit, quadrature
        from elbowroom.models import ConditionalVAE

        data = load("digits", binarize="threshold")
        train, test = (KINDS["completion"].arguments(data, split) for split in ("train", "test"))
        model = ConditionalVAE(data_dim=32, latent_dim=2, context_dim=32)
        guide = ConditionalNormal(data_dim=32, latent_dim=2, context_dim=32)
        fit(model, guide, train, num_epochs=40, batch_size=64, learning_rate=3e-3, schedule="cosine")
        print(quadrature(Target(model, guide, *test)))  # log p(lower half | upper half) of each image

    Args:
        data_dim: P, the number of values of a datum.
        latent_dim: D, the number of latent variables of a datum.
        hidden: the widths of the decoder's hidden layers, from z and c to x, by default (64, 64).
        likelihood: of p(x|z, c), a name in `LIKELIHOODS`.
        context_dim: C, the length of the vectors that are the context.
        num_classes: K, where the context is a class label 0 … K − 1: C = K. One of the two is given.
        prior: `"learned"`, or `"standard"` for z ~ N(0, I) whatever the context.
        prior_hidden: widths of the learned prior's hidden layers, by default (64, 64).
        sigma, floor, likelihood_options, activation: as of `VAE`.

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: tuple[int, ...] | None = None,
        likelihood: str = "bernoulli",
        *,
        context_dim: int | None = None,
        num_classes: int | None = None,
        prior: str = "learned",
        prior_hidden: tuple[int, ...] | None = None,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        activation: str = DEFAULT_ACTIVATION,
    ) -> None:
        super().__init__(
            data_dim,
            latent_dim,
            context_size(context_dim, num_classes),
            hidden,
            likelihood,
            sigma=sigma,
            floor=floor,
            likelihood_options=likelihood_options,
            activation=activation,
        )
        make = CONDITIONAL_PRIORS[check_choice("prior", prior, CONDITIONAL_PRIORS)]
        widths = HIDDEN if prior_hidden is None else check_sizes("prior_hidden", prior_hidden)
        self.latents = make(self.context_dim, self.latent_dim, widths, activation)

    def prior(self, context: Tensor) -> dist.TorchDistribution:
        """p(z|c) for contexts `[*batch, C]`: batch shape `[*batch]`, or `[]` of N(0, I); event shape `[D]`."""
        p_z: dist.TorchDistribution = self.latents(context)
        return p_z

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Runs the program on data `x [B, P]` or `[B, ...]` with their contexts.

        Args:
            x: data.
            context: vectors `[B, C]` (or `[B, ...]`, flattened) of the dtype of x, or labels `[B]` of an integer dtype.

        Returns:
            z: the latents of this run, `[B, D]` or, under a plate of samples, `[S, B, D]`.

        Raises:
            TypeError, ValueError: if x or the context has another shape or dtype, or a label is out of range.
        """
        x = check_width(check_batch(x, self.prior_loc), self.data_dim, says="the model's data_dim")
        vectors = check_context(context, self.context_dim, x)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", self.prior(vectors))  # [B, D]
            pyro.sample("x", self.decode(z, vectors), obs=x)
        return z
