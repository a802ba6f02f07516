"""Rows without latents: the densities of `elbowroom.densities`, by name."""

from typing import Any

from torch import Tensor

from elbowroom.densities import DENSITIES, density_class, make_density
from elbowroom.inference import Estimate
from elbowroom.rivals.rival import Digits, Fitted, Rival

Options = dict[str, Any]


def density(
    name: str,
    label: str,
    kinds: tuple[str, ...],
    options: Options | None = None,
    training: Options | None = None,
    of_levels: Options | None = None,
) -> Rival:
    """A row of the density called `name`, which says itself what it does about Z and what it cannot do.

    Args:
        name: in `elbowroom.densities.DENSITIES`.
        label: what it is, in a few words.
        kinds: of data that it is compared on.
        options, training: of its constructor and of its fit.
        of_levels: of its fit where the data are levels, beside or in place of `training`.
    """
    of = density_class(name)

    def fitted(data: Digits, seed: int) -> Fitted:
        levels = {} if "binary" in kinds and "levels" not in kinds else {"levels": data.levels}
        made = make_density(name, data.test.shape[1], seed=seed, **levels, **(options or {}))
        told = {**(training or {}), **((of_levels or {}) if data.kind == "levels" else {})}
        made.fit(data.train, data.validation, seed=seed, **told)

        def log_p(x: Tensor) -> Estimate:
            found: Estimate = made.log_prob(x, seed=seed)
            return found

        return Fitted(log_p, lambda num_samples, seed: made.sample(num_samples, seed=seed), made.num_parameters)

    return Rival(label, kinds, of.avoids, of.cannot, fitted, DENSITIES[name].needs)
