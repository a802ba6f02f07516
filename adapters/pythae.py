"""Models of pythae: VAE, BetaVAE, VAMP, IWAE and the others whose q(z|x) is a diagonal Normal."""

from typing import Any

from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.guides import from_encoder
from elbowroom.guides.adapter import EncoderGuide
from elbowroom.models import DecoderModel, PosteriorMixture, from_decoder

_LIKELIHOODS = {"mse": ("normal-fixed", "mean"), "bce": ("bernoulli", "probs")}
"""`reconstruction_loss` of a configuration -> likelihood, and what the decoder says of it."""

_OTHER_POSTERIORS = {
    "VAE_IAF": "its q(z|x) is an inverse autoregressive flow",
    "VAE_LinNF": "its q(z|x) is a flow of planar or radial maps",
    "HVAE": "its q(z|x) is the end of Hamiltonian steps",
    "RHVAE": "its q(z|x) is the end of Hamiltonian steps",
    "SVAE": "its latents lie on a sphere",
    "PoincareVAE": "its latents lie in a Poincaré ball",
}
_NO_DENSITY = {
    "VAEGAN": "its reconstruction loss is measured in a discriminator's layers: it has no p(x|z)",
    "MSSSIM_VAE": "its reconstruction loss is a structural similarity: it has no p(x|z)",
}


@checked
def from_pythae(model: Any, *, sigma: float | None = None) -> tuple[DecoderModel, EncoderGuide]:
    """The model and the guide of a pythae `VAE` or of a model derived from it.

        z ~ N(0, I), or of a VAMP  (1/K) Σ_k q(z | u_k),  u_k its pseudo-inputs
        x | z ~ N(decoder(z), σ² I)           reconstruction_loss="mse"; σ = 1, as in pythae's `get_nll`
        x | z ~ Bernoulli(decoder(z))         reconstruction_loss="bce"; pixels that are 0 or 1
        q(z|x) = N(embedding, exp log_covariance)

    What was trained is another question than what is evaluated: this is log p(x) of the model at β = 1, without total
    correlation, discriminators or warm-ups. A BetaVAE with squared error is at the optimum of the ELBO of σ = √β:
    give that one. `get_nll` returns the mean log p(x), not its negative, and takes 100 samples where fewer are asked
    for; for binary cross-entropy on grey pixels its number is of no density, and the Bernoulli refuses these.

    The networks are neither copied nor changed; put them in evaluation mode (`model.eval()`). Nothing of pythae is
    imported. Written for pythae 0.1.2 and compared with its `get_nll`.

    Args:
        model: the trained object, such as `AutoModel.load_from_folder` returns.
        sigma: σ of squared error, by default 1.

    Returns:
        (model, guide), for `Target(model, guide, x)` with x `[B, *input_dim]`.

    Raises:
        TypeError: if it is no VAE of pythae, or its q(z|x) is not a diagonal Normal.
        ValueError: if it has no density p(x|z), or σ is given for a Bernoulli.
    """
    names = {kind.__name__ for kind in type(model).__mro__}
    _check(type(model).__name__, names)
    loss = getattr(model.model_config, "reconstruction_loss", None)
    if loss not in _LIKELIHOODS:
        raise ValueError(
            f"model: got reconstruction_loss={loss!r}, of which no density is known, expected 'mse' or 'bce'; give "
            "encoder and decoder to from_encoder and from_decoder with the likelihood that is meant"
        )
    likelihood, output = _LIKELIHOODS[loss]
    if sigma is not None and loss == "bce":
        raise ValueError(f"sigma: got {sigma}, but reconstruction_loss='bce' is a Bernoulli, which has none")
    made = from_decoder(
        model.decoder,
        latent_dim=model.latent_dim,
        likelihood=likelihood,
        output=output,
        sigma=(1.0 if sigma is None else sigma) if loss == "mse" else None,
        prior=PosteriorMixture(model.encoder, _PseudoInputs(model)) if "VAMP" in names else None,
    )
    return made, from_encoder(model.encoder)


class _PseudoInputs:
    """u, `[K, *input_dim]`, of a VAMP as its parameters are now."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self) -> Tensor:
        like = next(self.model.pseudo_inputs.parameters())
        inputs: Tensor = self.model.pseudo_inputs(self.model.idle_input.to(like))
        return inputs.reshape(len(inputs), *self.model.model_config.input_dim)


def _check(name: str, names: set[str]) -> None:
    """Raise for what is no VAE of pythae with a diagonal Normal q(z|x) and a density p(x|z)."""
    if "VAE" not in names or "BaseAE" not in names:
        kind = "an autoencoder without q(z|x)" if "BaseAE" in names else "no model of pythae"
        raise TypeError(f"model: got {name}, {kind}; expected pythae's VAE or a model derived from it")
    for other in names & _NO_DENSITY.keys():
        raise ValueError(f"model: got {name}: {_NO_DENSITY[other]}; log p(x) is of no model that was trained")
    for other in names & _OTHER_POSTERIORS.keys():
        raise TypeError(
            f"model: got {name}: {_OTHER_POSTERIORS[other]}; write log p(x, z), log q(z|x) and its draws as functions, "
            "see Target.from_functions"
        )
