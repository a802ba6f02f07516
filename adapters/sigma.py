"""σ of a decoder that was trained by squared error: the one that maximises the ELBO, where none was ever said."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import Target
from elbowroom.inference.diagnostics.latent_use.observation import observation_sigma
from elbowroom.models.given_decoder import GivenDecoder
from elbowroom.models.likelihoods.normal import NormalFixed

_DRAWS = 10_000  # of all data together
_MOST = 100  # of one


@dataclass(frozen=True)
class FittedSigma:
    """The σ that maximises the ELBO on some data.

    Attributes:
        value: σ, in the units of x.
        stderr: as of a sample of data.
        num_data: B.
        optimism: by how many nats per datum the ELBO with it is higher on the same data than on others, about.
    """

    value: float
    stderr: float
    num_data: int
    optimism: float

    def __str__(self) -> str:
        return (
            f"σ = {self.value:.3g} ± {self.stderr:.1g} is the one that maximises the ELBO on {self.num_data} data; for "
            f"that, ELBO and evidence of the same data are too high by about {self.optimism:.2g} nats per datum, and "
            "those of others are not: fit it on training data"
        )


def waits_for_sigma(model: Any) -> bool:
    """Whether a model has a place for the σ that maximises the ELBO, and nobody has computed it yet."""
    likelihood = getattr(model, "likelihood", None)
    return isinstance(likelihood, NormalFixed) and not likelihood.is_set


@checked
def fit_sigma(
    model: GivenDecoder, guide: Any, x: Tensor, *given: Tensor, num_samples: int | None = None
) -> FittedSigma:
    """Puts the σ in a model's place of `sigma="optimal"` that maximises the mean ELBO of data, with q as it is.

        σ² = mean over data, values p and z ~ q(z|x) of (x_p − mean_p(z))²

    In closed form, for −(1/2σ²) Σ_p (x_p − mean_p)² − P log σ is all of the ELBO that depends on σ: the optimal σ of
    Rybkin, Daniilidis & Levine (2021), "Simple and effective VAE training with calibrated decoders", one for all data.
    A decoder that was trained by squared error alone says no σ; this is the model that its mean and q fit best, not the
    one that the weight of the KL term stood for in training: `docs/likelihoods.md` has those.

    On data that σ was fitted on the ELBO is higher than on others by (P/2B) Var_b(r_b)/σ⁴ nats per datum, r_b being a
    datum's mean squared residual, for large B (Akaike's and Takeuchi's count of the one parameter). Training data are
    what to give.

    Args:
        model: of `from_decoder(…, likelihood="normal-fixed", sigma="optimal")`; its σ is changed, and `model.notes` say
            so.
        guide: of the same latents.
        x: data `[B, ...]`, two at least.
        *given: what else model and guide are called with.
        num_samples: draws of q for each datum; by default so many that all are ten thousand, at most 100.

    Raises:
        TypeError: if the model has no such place.
        ValueError: if the data are fewer than two or all alike.
    """
    likelihood = getattr(model, "likelihood", None)
    if not isinstance(likelihood, NormalFixed) or likelihood.is_given:
        raise TypeError(
            f"model: got {type(model).__name__} of another likelihood or a σ that was given, expected one built with "
            "likelihood='normal-fixed', sigma='optimal'"
        )
    draws = num_samples or max(1, min(_MOST, _DRAWS // len(x)))
    found, _ = observation_sigma(Target(model, guide, x, *given), draws, 0, None)
    if not found:
        raise ValueError(f"x: got {len(x)} data that do not differ, expected two at least, and not all alike, to fit σ")
    value, stderr = found["optimal"], found["optimal_stderr"]
    optimism = 2 * found["num_values"] * (stderr / value) ** 2
    fitted = FittedSigma(value, stderr, len(x), optimism)
    likelihood.set_sigma(value)
    model.notes = (str(fitted),)
    return fitted
