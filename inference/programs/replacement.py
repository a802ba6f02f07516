"""Other distributions in the place of a model's latent sites: a guide whose plates and supports are the model's."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.structure import Latent, Program

Replace = Callable[[Latent, Any], Any]
"""(latent site, the distribution that it has in the model) -> the distribution that it is to have."""

Drawn = Callable[[Latent, Tensor], None]
"""(latent site, its value): called after each draw, so that later sites may depend on earlier ones."""


def draw_latents(
    model: Program,
    latents: Mapping[str, Latent],
    replace: Replace,
    drawn: Drawn,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> None:
    """Run a model up to its last latent site, each of them with the distribution that `replace` gives.

    Handlers outside see the latent sites and the subsampling plates, no other site and none of the model's parameters.
    """

    def is_hidden(msg: Any) -> bool:
        return msg["type"] == "param" or (msg["type"] == "sample" and msg["name"] not in latents)

    hidden = poutine.block(hide_fn=lambda msg: is_hidden(msg) and not _is_subsample(msg))
    with suppress(_AllDrawn), hidden, _Replace(latents, replace, drawn):
        model(*args, **kwargs)


class _AllDrawn(Exception):
    """Ends a run when the last latent site is drawn: the rest of the model is not needed."""


class _Replace(Messenger):
    """Changes the distributions of latent sites where they are met."""

    def __init__(self, latents: Mapping[str, Latent], replace: Replace, drawn: Drawn) -> None:
        super().__init__()
        self.latents, self.replace, self.drawn = latents, replace, drawn
        self.count = 0

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.latents and not msg["is_observed"]:
            msg["fn"] = self.replace(self.latents[msg["name"]], msg["fn"])

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["name"] in self.latents and not msg["is_observed"]:
            self.drawn(self.latents[msg["name"]], msg["value"])
            self.count += 1
            if self.count == len(self.latents):
                raise _AllDrawn


def _is_subsample(msg: Any) -> bool:
    return msg["type"] == "sample" and site_is_subsample(msg)
