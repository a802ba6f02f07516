"""Models of scvi-tools: `SCVI` and `LinearSCVI`, counts of genes in cells given their library sizes and batches."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.models.likelihoods.negative_binomial import NegativeBinomialVector
from elbowroom.models.likelihoods.poisson import PoissonVector
from elbowroom.models.likelihoods.zero_inflated import ZeroInflatedNegativeBinomialVector
from elbowroom.networks.program import Program

_COUNTS = "X"
_COVARIATES = {
    "batch": "batch_index",
    "labels": "y",
    "extra_continuous_covs": "cont_covs",
    "extra_categorical_covs": "cat_covs",
}
"""Registry keys of what is known of a cell -> arguments of the module's inference and generative parts."""
_OF_Q = ("batch_index", "cont_covs", "cat_covs")
_SIZE = "size_factor"


class FromSCVI(NamedTuple):
    """What `Target(model, guide, *data)` takes.

    Attributes:
        model: z ~ N(0, I), counts x | z, library, covariates.
        guide: q(z | x, covariates).
        data: counts `[B, G]`, logarithms of library sizes `[B, 1]`, and covariates `[B, ...]`.
    """

    model: "SCVIModel"
    guide: "SCVIGuide"
    data: tuple[Tensor, ...]


def from_scvi(model: Any, adata: Any = None, *, indices: Any = None) -> FromSCVI:
    """The model, the guide and the cells of a trained `SCVI` or `LinearSCVI`.

        model, guide, data = from_scvi(scvi_model, adata)
        importance(Target(model, guide, *data))

        z ~ N(0, I),   x_g | z ~ ZINB(mean ℓ ρ_g(z, batch, …), dispersion θ_g, logit of an extra zero g_g(z, …)),
        or NB or Poisson, as `gene_likelihood` says

    ℓ is the observed total of a cell, or its size factor, and given: the number is log p(x | ℓ, batch, …), as that of
    scvi's `get_marginal_ll`. Of that (1.4.2, and 1.5) two things must be seen to before numbers are compared: it runs
    ⌈n / m⌉ passes of m samples and divides by n, so n must be a multiple of m; and its mean is one of minibatch means,
    so cells of a smaller last minibatch weigh more: `return_mean=False`. It adds 1e-8 to means and dispersions, which
    is not done here.

    The networks are neither copied nor changed; they must be in evaluation mode, as `train` and `load` leave them.
    Nothing of scvi is imported here. Written for scvi-tools 1.4.2 and compared with it.

    Args:
        model: the trained object.
        adata: cells, of the genes that the model was trained on; by default those that it was trained on.
        indices: which of the cells; by default all.

    Raises:
        TypeError: if the object is no SCVI, such as SCANVI or TOTALVI, whose programs are others.
        ValueError: if library sizes are latent, `gene_likelihood` is no law of counts, the data are minified, or the
            networks are in training mode.
    """
    module = _checked(model)
    cells = model._validate_anndata(adata)
    loader: Iterable[Mapping[str, Tensor]] = model._make_data_loader(adata=cells, indices=indices)
    like = next(module.parameters())
    batches = [{key: value for key, value in batch.items() if isinstance(value, Tensor)} for batch in loader]
    tensors = {key: torch.cat([batch[key] for batch in batches]).to(like.device) for key in batches[0]}
    x = tensors[_COUNTS].to(like)
    size = tensors[_SIZE].to(like) if module.use_size_factor_key else x.sum(1, keepdim=True)
    if bool((size <= 0).any()):
        empty = (size <= 0).flatten().nonzero().flatten().tolist()
        raise ValueError(f"adata: cells {empty[:8]} have no counts, so no library size; leave them out")
    names = tuple(argument for key, argument in _COVARIATES.items() if key in tensors)
    covariates = tuple(tensors[key] for key in _COVARIATES if key in tensors)
    return FromSCVI(SCVIModel(module, names), SCVIGuide(module, names), (x, size.log(), *covariates))


class SCVIModel(Program):
    """z ~ N(0, I), x | z by the module's generative part; sites `"z"` and `"x"` in the plate `"data"`.

    Args:
        module: `SCVI.module`.
        names: what the covariates are that the program is called with, after counts and log library sizes.
    """

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.names = module, names
        self.latent_dim: int = module.n_latent  # type: ignore[assignment]

    def decode(self, z: Tensor, library: Tensor, *covariates: Tensor) -> dist.TorchDistribution:
        """p(x | z, …) for z `[*sample, B, D]`: batch shape `[*sample, B]`, event shape `[G]`."""
        module: Any = self.module
        known = dict.fromkeys(_COVARIATES.values()) | dict(zip(self.names, covariates, strict=True))
        transformed = module.z_encoder.z_transformation(z)
        return _LAWS[module.gene_likelihood](
            module.generative(z=transformed, library=library, size_factor=library, **known)["px"]
        )

    def forward(self, x: Tensor, library: Tensor, *covariates: Tensor) -> Tensor:
        """Runs the program on counts `[B, G]`, log library sizes `[B, 1]` and covariates."""
        with pyro.plate("data", len(x), dim=-1):
            loc = x.new_zeros(self.latent_dim)
            z: Tensor = pyro.sample("z", dist.Normal(loc, torch.ones_like(loc)).to_event(1))
            pyro.sample("x", self.decode(z, library, *covariates), obs=x)
        return z


class SCVIGuide(AmortizedGuide):
    """q(z | x, …) = N(mean, diag std²) of the module's inference part; arguments as of `SCVIModel`."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on the model's arguments, of which the library sizes are not read."""
        known = {name: value for name, value in zip(self.names, given[1:], strict=True) if name in _OF_Q}
        module: Any = self.module
        with torch.random.fork_rng(devices=[]):  # it draws z too, which is not used
            q = module.inference(x, **({"cont_covs": None, "cat_covs": None} | known))["qz"]
        with pyro.plate("data", len(x), dim=-1):
            z: Tensor = pyro.sample("z", dist.Normal(q.loc, q.scale).to_event(1))
        return z


def _log(value: Tensor) -> Tensor:
    """Logarithm of a mean that may have underflowed to zero."""
    return value.clamp_min(torch.finfo(value.dtype).tiny).log()


_LAWS: dict[str, Callable[[Any], dist.TorchDistribution]] = {
    "zinb": lambda p_x: ZeroInflatedNegativeBinomialVector(_log(p_x.mu), p_x.zi_logits, _log(p_x.theta)),
    "nb": lambda p_x: NegativeBinomialVector(_log(p_x.mu), _log(p_x.theta)),
    "poisson": lambda p_x: PoissonVector(_log(p_x.rate)),
}
"""`gene_likelihood` -> p(x|z) from the distribution that scvi builds."""


def _checked(model: Any) -> Any:
    """The module of an SCVI with observed library sizes, in evaluation mode."""
    module: Any = getattr(model, "module", None)
    names = {kind.__name__ for kind in type(module).__mro__}
    if not names & {"VAE", "LDVAE"} or "SCANVAE" in names or not hasattr(module, "gene_likelihood"):
        raise TypeError(
            f"model: got {type(model).__name__}, expected SCVI or LinearSCVI of scvi-tools; other models have other "
            "latents, and are written as Pyro programs with their networks"
        )
    if getattr(model, "minified_data_type", None) is not None:
        raise ValueError("model: its data are minified, without counts; load it with the counts")
    if not module.use_observed_lib_size and not module.use_size_factor_key:
        raise ValueError(
            "model: its library sizes are latent (use_observed_lib_size=False), a second latent that is not read here; "
            "expected one trained with observed sizes, as is the default"
        )
    if module.gene_likelihood not in _LAWS:
        raise ValueError(
            f"model: got gene_likelihood={module.gene_likelihood!r}, expected a law of counts: {', '.join(_LAWS)}"
        )
    if module.training:
        raise ValueError(
            "model: its networks are in training mode, where a cell depends on its company: model.module.eval()"
        )
    return module
