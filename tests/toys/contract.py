"""What the contract is tried on: every model of the registry with each of its guides, and toys of every structure."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from elbowroom.commands.constructors import arguments_of
from elbowroom.guides import from_encoder
from elbowroom.guides import registry as guides
from elbowroom.inference import Target
from elbowroom.models import from_decoder
from elbowroom.models import registry as models
from elbowroom.models.likelihoods import LIKELIHOODS
from toys import family_of_mine
from toys.data_kinds import VALUES, toy_data

B, P, D, S = 5, 6, 2, 3  # P and D: of the adapters below; a family has the sizes of its `tiny`

Programs = tuple[nn.Module, nn.Module]


class Pair(NamedTuple):
    """A model with a guide.

    Attributes:
        make: both, freshly drawn from torch's generator.
        data: so many data, as both are called with them.
        exact: how log p(x) is known.
    """

    make: Callable[[], Programs]
    data: Callable[[int], tuple[Tensor, ...]]
    exact: str = "quadrature"

    def build(self, seed: int = 0) -> Programs:
        torch.manual_seed(seed)
        return self.make()

    def target(self, num_data: int = B) -> Target:
        """Both, pinned to data: one for all tests, so they must leave it as it is."""
        return _target(self, num_data)


@cache
def _target(pair: Pair, num_data: int) -> Target:
    model, guide = pair.build()
    return Target(model, guide, *pair.data(num_data))


def plainly(model: nn.Module, guide: nn.Module, *data: Tensor) -> Target:
    """Both, pinned to data, run sample by sample: nothing is tried and chosen."""
    return Target(model, guide, *data, layout="loop")


def _registered(family: str, guide: str, **options: Any) -> Pair:
    entry = {**models.MODELS, **family_of_mine.FAMILIES}[family]
    tiny = {**entry.tiny, **options}
    return Pair(partial(_make, entry, guide, tiny), partial(_data, entry, tiny), entry.exact)


def _make(entry: models.Entry, guide: str, tiny: dict[str, Any]) -> Programs:
    model = _class_of(entry, models)(**tiny, **entry.options)
    told = {**guides.GUIDES, **family_of_mine.GUIDES}[guide]
    constructor = _class_of(told, guides)
    given = {name: value for name, value in tiny.items() if name in arguments_of(constructor)}
    if guide in guides.GUIDES:
        try:
            return model, guides.make_guide(guide, model, **{**given, **told.tiny})
        except ImportError as error:  # of what an extra of the package installs
            pytest.skip(str(error))
    return model, constructor(**given)


def _class_of(entry: Any, registry: Any) -> Any:
    file, _, name = entry.where.partition(":")
    return getattr(family_of_mine, name) if file == "family_of_mine" else registry.class_at(entry.where)


def _data(entry: models.Entry, tiny: dict[str, Any], num_data: int) -> tuple[Tensor, ...]:
    """As the likelihood has the values, if there is a choice of them."""
    argument = arguments_of(_class_of(entry, models)).get("likelihood")
    name = tiny.get("likelihood", argument.default if argument else None)
    values = LIKELIHOODS[name].data if name in LIKELIHOODS else "binary"
    return toy_data(values if argument and entry.data in VALUES else entry.data, values, num_data, tiny)


class Heads(nn.Module):
    """Somebody's network with two outputs, the second made positive if asked."""

    def __init__(self, num_inputs: int, num_outputs: int, *, positive: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(num_inputs, num_outputs), nn.Linear(num_inputs, num_outputs)
        self.positive = positive

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        second = self.second(inputs)
        return self.first(inputs), nn.functional.softplus(second) if self.positive else second


def _decoder(network: Callable[[], nn.Module], likelihood: str, output: str) -> Pair:
    def make() -> Programs:
        model = from_decoder(network(), latent_dim=D, likelihood=likelihood, output=output)
        return model, guides.make_guide("normal", model, P, hidden=(4,))

    return Pair(make, lambda num_data: toy_data(LIKELIHOODS[likelihood].data, "", num_data, {"data_dim": P}))


def _with_sizes(pair: Pair) -> Pair:
    """The same, and the data's sizes are given."""

    def data(num_data: int) -> tuple[Tensor, ...]:
        (x,) = pair.data(num_data)
        return x, x.sum(-1)

    return pair._replace(data=data)


def _encoder(output: str) -> Pair:
    vae = _registered("vae", "normal")
    encoder = partial(Heads, P, D, positive=output == "mean_std")
    return vae._replace(make=lambda: (vae.make()[0], from_encoder(encoder(), output=output)))


REGISTERED = {
    f"{family}, {guide}": _registered(family, guide)
    for family, entry in (models.MODELS | family_of_mine.FAMILIES).items()
    for guide in entry.guides
}
"""The registry's families, and toys of structures that it may hold one day."""

ALSO = {
    f"{family}, {guide}": _registered(family, guide) for family, entry in models.MODELS.items() for guide in entry.also
}
"""Pairs of the registry whose guide is in `REGISTERED` with another model."""

VARIANTS = {
    "vae, fixed": _registered("vae", "normal", hidden=(4, 3), likelihood="normal-fixed", sigma=0.3, activation="tanh"),
    "vae, learned": _registered("vae", "normal", likelihood="normal-learned", activation="softplus"),
    "vae, heteroscedastic": _registered("vae", "normal-linear", likelihood="normal-heteroscedastic"),
    "vae, beta": _registered("vae", "normal", likelihood="beta"),
    "vae, continuous bernoulli": _registered("vae", "normal", likelihood="continuous-bernoulli"),
    "vae, binomial": _registered("vae", "normal", likelihood="binomial", likelihood_options={"trials": 3}),
    "vae, categorical": _registered("vae", "normal", likelihood="categorical", likelihood_options={"levels": 4}),
    "vae, logistic": _registered("vae", "normal", likelihood="discretised-logistic", likelihood_options={"levels": 4}),
    "vae, poisson": _registered("vae", "normal", likelihood="poisson"),
    "vae, negative binomial": _registered("vae", "normal", likelihood="negative-binomial"),
    "vae, zero-inflated": _registered("vae", "normal", likelihood="zero-inflated-negative-binomial"),
    "vae, multinomial": _registered("vae", "normal", likelihood="multinomial"),
    "topics, mixture": _registered("topics", "normal-counts", topics="mixture", concentration=(0.5, 2.0)),
    "vae, exposure": _with_sizes(
        _registered("vae", "normal", likelihood="poisson", likelihood_options={"exposure": "total"})
    ),
}

ADAPTERS = {
    "decoder, logits": _decoder(partial(nn.Linear, D, P), "bernoulli", "logits"),
    "decoder, probs": _decoder(lambda: nn.Sequential(nn.Linear(D, P), nn.Sigmoid()), "bernoulli", "probs"),
    "decoder, image": _decoder(
        lambda: nn.Sequential(nn.Linear(D, P), nn.Unflatten(-1, (1, 2, 3))), "normal-learned", "mean"
    ),
    "decoder, log var": _decoder(partial(Heads, D, P, positive=False), "normal-heteroscedastic", "mean_log_var"),
    "decoder, std": _decoder(partial(Heads, D, P, positive=True), "normal-heteroscedastic", "mean_std"),
    "encoder, log var": _encoder("mean_log_var"),
    "encoder, std": _encoder("mean_std"),
}

PAIRS: dict[str, Pair] = REGISTERED | VARIANTS | ADAPTERS


def terms(target: Target, z: dict[str, Tensor]) -> Tensor:
    """log q(z|x), log p(z), log p(x|z) at latents `[S, B, …]`: `[3, S, B]`; where there are none, `[3, 1, B]`."""
    return torch.stack([target.log_guide(z), *target.log_joint(z)])
