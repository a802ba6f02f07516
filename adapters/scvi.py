"""Models of scvi-tools: `SCVI` and `LinearSCVI`, counts of genes in cells given their batches and, mostly, sizes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
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
        model: z ~ N(0, I), counts x | z, library, covariates; where library sizes are latent, these, too.
        guide: q(z | x, covariates), likewise.
        data: counts `[B, G]`, logarithms of library sizes `[B, 1]` unless they are latent, and covariates `[B, ...]`.
    """

    model: "SCVIModel"
    guide: "SCVIGuide"
    data: tuple[Tensor, ...]


@checked
def from_scvi(model: Any, adata: Any = None, *, indices: Any = None) -> FromSCVI:
    """The model, the guide and the cells of a trained `SCVI` or `LinearSCVI`.

        model, guide, data = from_scvi(scvi_model, adata)
        importance(Target(model, guide, *data))

        z ~ N(0, I),   x_g | z ~ ZINB(mean ℓ ρ_g(z, batch, …), dispersion θ_g, logit of an extra zero g_g(z, …)),
        or NB or Poisson, as `gene_likelihood` says

    ℓ is the observed total of a cell, or its size factor, and given: the number is log p(x | ℓ, batch, …). Of a model
    with `use_observed_lib_size=False` it is a latent beside z, site `"library"`, log ℓ ~ N(mean, variance of its batch)
    with a q(log ℓ | x) of its own, and the number is log p(x | batch, …).

    Either is what scvi's `get_marginal_ll` estimates. Of that (1.4.2, and 1.5) three things must be seen to before
    numbers are compared: it runs ⌈n / m⌉ passes of m samples and divides by n, so n must be a multiple of m; its mean
    is one of minibatch means, so cells of a smaller last minibatch weigh more: `return_mean=False`; and it says nothing
    of the weights' tails: where k̂ is above 0.7 it is too low, by more than repeated calls of it show. It adds 1e-8 to
    means and dispersions, which is not done here.

    The networks are neither copied nor changed; they must be in evaluation mode, as `train` and `load` leave them.
    Nothing of scvi is imported here. Written for scvi-tools 1.4.2 and compared with it.

    Args:
        model: the trained object.
        adata: cells, of the genes that the model was trained on; by default those that it was trained on.
        indices: which of the cells; by default all.

    Raises:
        TypeError: if the object is no SCVI, such as SCANVI or TOTALVI, whose programs are others.
        ValueError: if `gene_likelihood` is no law of counts, the data are minified, or the networks are in training
            mode.
    """
    module = _checked(model)
    cells = model._validate_anndata(adata)
    loader: Iterable[Mapping[str, Tensor]] = model._make_data_loader(adata=cells, indices=indices)
    like = next(module.parameters())
    batches = [{key: value for key, value in batch.items() if isinstance(value, Tensor)} for batch in loader]
    tensors = {key: torch.cat([batch[key] for batch in batches]).to(like.device) for key in batches[0]}
    x = tensors[_COUNTS].to(like)
    names = tuple(argument for key, argument in _COVARIATES.items() if key in tensors)
    covariates = tuple(tensors[key] for key in _COVARIATES if key in tensors)
    model, guide = SCVIModel(module, names), SCVIGuide(module, names)
    if model.latent_sizes:
        return FromSCVI(model, guide, (x, *covariates))
    size = tensors[_SIZE].to(like) if module.use_size_factor_key else x.sum(1, keepdim=True)
    if bool((size <= 0).any()):
        empty = (size <= 0).flatten().nonzero().flatten().tolist()
        raise ValueError(f"adata: cells {empty[:8]} have no counts, so no library size; leave them out")
    return FromSCVI(model, guide, (x, size.log(), *covariates))


class SCVIModel(Program):
    """z ~ N(0, I), x | z by the module's generative part; sites `"z"` and `"x"` in the plate `"data"`.

    Where library sizes are latent there is a site `"library"`, log ℓ `[1]` of a cell, too.

    Args:
        module: `SCVI.module`.
        names: what the covariates are that the program is called with, after counts and, unless they are latent, log
            library sizes.
    """

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.names = module, names
        self.latent_dim: int = module.n_latent  # type: ignore[assignment]
        self.latent_sizes = _are_latent(module)

    def decode(self, z: Tensor, library: Tensor, *covariates: Tensor) -> dist.TorchDistribution:
        """p(x | z, …) for z `[*sample, B, D]`: batch shape `[*sample, B]`, event shape `[G]`."""
        module: Any = self.module
        known = dict.fromkeys(_COVARIATES.values()) | dict(zip(self.names, covariates, strict=True))
        transformed = module.z_encoder.z_transformation(z)
        return _LAWS[module.gene_likelihood](
            module.generative(z=transformed, library=library, size_factor=library, **known)["px"]
        )

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on counts `[B, G]`, log library sizes `[B, 1]` unless they are latent, and covariates."""
        with pyro.plate("data", len(x), dim=-1):
            loc = x.new_zeros(self.latent_dim)
            z: Tensor = pyro.sample("z", dist.Normal(loc, torch.ones_like(loc)).to_event(1))
            if self.latent_sizes:
                given = (pyro.sample("library", self._of_sizes(*given)), *given)
            pyro.sample("x", self.decode(z, *given), obs=x)
        return z

    def _of_sizes(self, *covariates: Tensor) -> dist.TorchDistribution:
        """p(log ℓ | batch), batch shape `[B]`, event shape `[1]`."""
        module: Any = self.module
        mean, variance = module._compute_local_library_params(
            dict(zip(self.names, covariates, strict=True))["batch_index"]
        )
        return dist.Normal(mean, variance.sqrt()).to_event(1)


class SCVIGuide(AmortizedGuide):
    """q(z | x, …) = N(mean, diag std²) of the module's inference part; arguments as of `SCVIModel`."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on the model's arguments, of which observed library sizes are not read."""
        module: Any = self.module
        covariates = given if _are_latent(module) else given[1:]
        known = {name: value for name, value in zip(self.names, covariates, strict=True) if name in _OF_Q}
        with torch.random.fork_rng(devices=[]):  # it draws z too, which is not used
            said = module.inference(x, **({"cont_covs": None, "cat_covs": None} | known))
        with pyro.plate("data", len(x), dim=-1):
            z: Tensor = pyro.sample("z", dist.Normal(said["qz"].loc, said["qz"].scale).to_event(1))
            if _are_latent(module):
                pyro.sample("library", dist.Normal(said["ql"].loc, said["ql"].scale).to_event(1))
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


_OTHERS = {
    "SCANVI": "a second level of latents and the classes of the cells",
    "TOTALVI": "proteins, with a background of each as a latent",
    "MULTIVI": "accessible regions, whose depth is a function of the cell itself: it has no p(x|z)",
    "PEAKVI": "a depth that is a function of the cell itself: it has no p(x|z)",
    "AUTOZI": "a latent for each gene, of all cells",
    "CondSCVI": "the types of the cells",
}
"""What other models have that is not read here."""


def _are_latent(module: Any) -> bool:
    """Whether library sizes are."""
    return not module.use_observed_lib_size and not module.use_size_factor_key


def _checked(model: Any) -> Any:
    """The module of an SCVI, in evaluation mode."""
    module: Any = getattr(model, "module", None)
    names = {kind.__name__ for kind in type(module).__mro__}
    if not names & {"VAE", "LDVAE"} or names & {"SCANVAE", "AutoZIVAE"} or not hasattr(module, "gene_likelihood"):
        other = _OTHERS.get(type(model).__name__)
        raise TypeError(
            f"model: got {type(model).__name__}, expected SCVI or LinearSCVI of scvi-tools"
            + (f": it has {other}" if other else "")
            + "; write log p(x, z), log q(z|x) and its draws with its networks as Pyro programs or functions, see "
            "Target.from_functions"
        )
    if getattr(model, "minified_data_type", None) is not None:
        raise ValueError("model: its data are minified, without counts; load it with the counts")
    if module.gene_likelihood not in _LAWS:
        raise ValueError(
            f"model: got gene_likelihood={module.gene_likelihood!r}, expected a law of counts: {', '.join(_LAWS)}"
        )
    if module.training:
        raise ValueError(
            "model: its networks are in training mode, where a cell depends on its company: model.module.eval()"
        )
    return module
