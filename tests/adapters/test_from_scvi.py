"""SCVI: counts given library sizes and batches, by hand, and against scvi's own number where it is installed."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Normal

from elbowroom.adapters import from_scvi
from elbowroom.inference import Target, importance
from toys.foreign import library

B, G, D = 4, 5, 2
COUNTS = torch.tensor([[0, 3, 1, 0, 9], [2, 0, 0, 1, 1], [5, 5, 0, 2, 0], [0, 0, 1, 0, 0]])
BATCH = torch.tensor([[0], [1], [1], [0]])


class VAE(nn.Module):
    """The interface of scvi-tools 1.4.2 as far as it is used, under its name."""

    def __init__(self, likelihood: str) -> None:
        super().__init__()
        self.gene_likelihood, self.n_latent = likelihood, D
        self.use_observed_lib_size, self.use_size_factor_key = True, False
        self.z_encoder = SimpleNamespace(z_transformation=nn.Softmax(-1))
        self.encoder, self.shares, self.gate = nn.Linear(G + 1, 2 * D), nn.Linear(D + 1, G), nn.Linear(D + 1, G)
        self.log_theta = nn.Parameter(torch.linspace(-1, 1, G))

    def inference(self, x: Tensor, batch_index: Tensor, cont_covs: Any, cat_covs: Any) -> Any:
        mean, log_std = self.encoder(torch.cat([x.log1p(), batch_index.to(x)], -1)).chunk(2, -1)
        q = Normal(mean, log_std.exp())
        of_size = None if self.use_observed_lib_size else Normal(x.sum(1, keepdim=True).log() + 0.1, 0.2)
        return {"qz": q, "z": q.rsample(), "ql": of_size}

    def _compute_local_library_params(self, batch_index: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor([2.0, 1.5])[batch_index], torch.tensor([0.3, 0.6])[batch_index]

    def generative(self, *, z: Tensor, library: Tensor, batch_index: Tensor, **_: Any) -> Any:
        batch = batch_index.to(z).expand(*z.shape[:-1], 1)
        h = torch.cat([z, batch], -1)
        mu = library.exp() * torch.softmax(self.shares(h), -1)
        return {"px": SimpleNamespace(mu=mu, rate=mu, theta=self.log_theta.exp(), zi_logits=self.gate(h))}


class SCVI:
    """The object around it: loads cells in minibatches."""

    def __init__(self, likelihood: str = "zinb") -> None:
        torch.manual_seed(0)
        self.module, self.minified_data_type = VAE(likelihood).eval(), None

    def _validate_anndata(self, adata: Any) -> Any:
        return COUNTS if adata is None else adata

    def _make_data_loader(self, adata: Any, indices: Any) -> Any:
        rows = torch.arange(B) if indices is None else torch.tensor(indices)
        for some in rows.split(3):
            yield {"X": adata[some], "batch": BATCH[some], "labels": 0 * BATCH[some], "extra_continuous_covs": None}


@pytest.mark.parametrize("likelihood", ["zinb", "nb", "poisson"])
def test_its_densities_by_hand(likelihood: str) -> None:
    scvi = SCVI(likelihood)
    model, guide, cells = from_scvi(scvi)
    target = Target(model, guide, *cells)
    values, log_q = target.propose(3, seed=1)
    z = values["z"]
    x = COUNTS.to(z)
    q = scvi.module.inference(x, BATCH, None, None)["qz"]
    torch.testing.assert_close(log_q, q.log_prob(z).sum(-1))
    prior, log_p = target.log_joint(values)
    torch.testing.assert_close(prior, Normal(0.0, 1.0).log_prob(z).sum(-1))
    library = x.sum(1, keepdim=True).log()
    with torch.no_grad():
        px = scvi.module.generative(z=z.softmax(-1), library=library, batch_index=BATCH)["px"]
        mu, theta, zero = px.mu.numpy(), px.theta.numpy(), torch.sigmoid(px.zi_logits)
    if likelihood == "poisson":
        expected = torch.as_tensor(stats.poisson.logpmf(x.numpy(), mu))
    else:
        expected = torch.as_tensor(stats.nbinom.logpmf(x.numpy(), theta, theta / (theta + mu)))
    if likelihood == "zinb":
        expected = ((1 - zero) * expected.exp() + zero * (x == 0)).log()
    torch.testing.assert_close(log_p, expected.sum(-1))


def test_cells_can_be_chosen() -> None:
    _, _, (x, library, batch, _) = from_scvi(SCVI(), COUNTS, indices=[2, 1])
    assert torch.equal(x, COUNTS[[2, 1]].to(x)) and batch.flatten().tolist() == [1, 1]
    torch.testing.assert_close(library, torch.tensor([[12.0], [4.0]]).log())


def test_latent_sizes_are_a_site() -> None:
    """log ℓ has the prior of its batch and a q of its own, and the counts have the mean ℓ ρ."""
    scvi = SCVI("poisson")
    scvi.module.use_observed_lib_size = False
    model, guide, cells = from_scvi(scvi)
    assert len(cells) == 3  # counts, batch, labels
    target = Target(model, guide, *cells)
    values, log_q = target.propose(3, seed=1)
    z, log_size = values["z"], values["library"]
    x = COUNTS.to(z)
    said = scvi.module.inference(x, BATCH, None, None)
    torch.testing.assert_close(log_q, said["qz"].log_prob(z).sum(-1) + said["ql"].log_prob(log_size).sum(-1))
    prior, log_p = target.log_joint(values)
    mean, variance = torch.tensor([2.0, 1.5, 1.5, 2.0]), torch.tensor([0.3, 0.6, 0.6, 0.3])
    of_size = Normal(mean, variance.sqrt()).log_prob(log_size.squeeze(-1))
    torch.testing.assert_close(prior, Normal(0.0, 1.0).log_prob(z).sum(-1) + of_size)
    share = torch.softmax(scvi.module.shares(torch.cat([z.softmax(-1), BATCH.to(z).expand(3, B, 1)], -1)), -1)
    torch.testing.assert_close(log_p, torch.distributions.Poisson(log_size.exp() * share).log_prob(x).sum(-1))


def test_size_factors_are_taken_where_they_are_used() -> None:
    scvi = SCVI()
    scvi.module.use_size_factor_key = True
    load = scvi._make_data_loader
    factor = torch.linspace(1, 2, B).unsqueeze(1)
    scvi._make_data_loader = (
        lambda adata, indices: (  # type: ignore[method-assign]
            batch | {"size_factor": factor[i * 3 : i * 3 + 3]} for i, batch in enumerate(load(adata, indices))
        )
    )
    torch.testing.assert_close(from_scvi(scvi).data[1], factor.log())


def test_what_it_does_not_read_is_refused() -> None:
    for change, error, words in (
        ({"gene_likelihood": "normal"}, ValueError, "gene_likelihood='normal', expected a law of counts"),
        ({"training": True}, ValueError, r"model\.module\.eval\(\)"),
    ):
        scvi = SCVI()
        for name, value in change.items():
            setattr(scvi.module, name, value)
        with pytest.raises(error, match=words):
            from_scvi(scvi)
    scvi = SCVI()
    scvi.minified_data_type = "latent_posterior"
    with pytest.raises(ValueError, match="minified"):
        from_scvi(scvi)
    with pytest.raises(ValueError, match=r"cells \[1\] have no counts"):
        from_scvi(SCVI(), COUNTS * torch.tensor([[1], [0], [1], [1]]))
    with pytest.raises(TypeError, match=r"got SimpleNamespace, expected SCVI or LinearSCVI.*; write log p"):
        from_scvi(SimpleNamespace(module=nn.Linear(1, 1)))
    for name, module, has in (
        ("AUTOZI", "AutoZIVAE", "a latent for each gene"),
        ("SCANVI", "SCANVAE", "a second level of latents"),
        ("TOTALVI", "TOTALVAE", "proteins"),
    ):
        scvi = type(name, (SCVI,), {})()
        derived = VAE if module != "TOTALVAE" else nn.Module
        scvi.module.__class__ = type(module, (derived,), {})  # type: ignore[assignment]
        with pytest.raises(TypeError, match=f"got {name}, expected SCVI or LinearSCVI of scvi-tools: it has {has}"):
            from_scvi(scvi)


def trained(scvi: Any, anndata: Any, **options: Any) -> Any:
    """An SCVI of 60 cells of two kinds in three batches."""
    torch.manual_seed(0)
    rates = torch.distributions.Gamma(1.0, 0.2).sample((2, 20))
    kinds = torch.arange(60) % 2
    adata = anndata.AnnData(torch.poisson(rates[kinds]).numpy())
    adata.obs["batch"] = [f"batch {i % 3}" for i in range(60)]
    scvi.settings.seed = 0
    scvi.model.SCVI.setup_anndata(adata, batch_key="batch")
    model = scvi.model.SCVI(adata, n_hidden=16, n_latent=2, **options)
    model.train(max_epochs=60, batch_size=20, accelerator="cpu", enable_progress_bar=False)
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("likelihood", ["zinb", "nb"])
def test_its_own_number(likelihood: str) -> None:
    """`get_marginal_ll` cell by cell, of passes that divide the samples: what is wrong with it otherwise is not met."""
    with library("scvi", "scvi") as scvi, library("anndata", "scvi") as anndata:
        model = trained(scvi, anndata, gene_likelihood=likelihood)
        runs = [
            model.get_marginal_ll(return_mean=False, n_mc_samples=1000, n_mc_samples_per_pass=250).double()
            for _ in range(8)
        ]
        theirs = torch.stack(runs)
        model, guide, cells = from_scvi(model)
        ours = importance(Target(model, guide, *cells), num_samples=4000, search=False)
        value = theirs.logsumexp(0) - math.log(8)
        error = (theirs.var(0) / 8 + ours.stderr.square()).sqrt()
        assert float((ours.value - value).mean().abs()) < 3 * float(error.square().sum().sqrt()) / 60


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("likelihood", ["zinb", "nb", "poisson"])
def test_its_own_densities_with_latent_sizes(likelihood: str) -> None:
    """Term by term as in its `marginal_ll`, whose weights have no tails to compare a mean by: k̂ is 7 for most cells."""
    with library("scvi", "scvi") as scvi, library("anndata", "scvi") as anndata:
        model = trained(scvi, anndata, gene_likelihood=likelihood, use_observed_lib_size=False)
        module = model.module
        program, guide, cells = from_scvi(model)
        target = Target(program, guide, *cells)
        values, log_q = target.propose(4, seed=0)
        prior, log_p = target.log_joint(values)
        z, log_size = values["z"], values["library"]
        x, batch = cells[:2]
        with torch.no_grad():
            said = module.inference(x, batch)
            of_z, of_size = said["qz"].log_prob(z).sum(-1), said["ql"].log_prob(log_size).sum(-1)
            torch.testing.assert_close(log_q, of_z + of_size)
            made = module.generative(z=z, library=log_size, batch_index=batch)
            of_size = made["pl"].log_prob(log_size).sum(-1)
            torch.testing.assert_close(prior, Normal(0.0, 1.0).log_prob(z).sum(-1) + of_size)
            torch.testing.assert_close(log_p, made["px"].log_prob(x).sum(-1), atol=1e-3, rtol=1e-5)
