"""Every public call once with arguments that are right: each of them is then replaced by wrong ones."""

import inspect
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elbowroom import adapters, datasets, densities, guides, inference, models, networks, reference, report, rivals
from toys.audit_results import bad_audit
from toys.estimators import stand_in
from toys.explorations import one_latent
from toys.figures import IMAGE, decode, pictures
from toys.gap import Amortized, Decoder
from toys.programs import Ppca
from toys.report import toy
from toys.two_models import reversed_pair

PROBLEM = Ppca.make(4, 2, 0.7)
X = PROBLEM.sample(5)


class GoodCall(NamedTuple):
    """A public function, and how it is called rightly.

    Attributes:
        name: of the call in reports.
        function: what is called.
        arguments: by name, positional ones (`*args`) under `"*"`.
    """

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]

    def __call__(self, **changes: Any) -> Any:
        values = {name: _fresh(value) for name, value in (self.arguments | changes).items()}
        rest = values.pop("*", ())
        before = list(inspect.signature(self.function).parameters.values())
        places = [p.name for p in before if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)] if rest else []
        leading = [values.pop(name) for name in places if name in values]
        return self.function(*leading, *rest, **values)


def _fresh(value: Any) -> Any:
    """A copy of what a call may train."""
    return deepcopy(value) if isinstance(value, nn.Module) else value


@cache
def target() -> inference.Target:
    return inference.Target(PROBLEM.model, PROBLEM.guide, X)


@cache
def draws() -> inference.Draws:
    return stand_in(target())


@cache
def estimate() -> inference.Estimate:
    return inference.importance(target(), num_samples=30, search=False)


@cache
def comparison() -> inference.Comparison:
    return toy().comparison


@cache
def decomposition() -> inference.Decomposition:
    return inference.decompose(target(), families=["mean-field"], num_samples=32)


@cache
def explored_audit() -> inference.Audit:
    return inference.audit_target(target(), budget=0.1, num_simulations=20)


@cache
def bracket() -> inference.Bracket:
    return bad_audit().bracket


@cache
def _shards() -> Path:
    """A folder of finished shards."""
    place = Path(mkdtemp())
    inference.shard(target(), output=place, options={"num_samples": 20, "search": False}, progress=False)
    inference.merge_shards(place)
    return place


def pair() -> dict[str, Any]:
    """Programs that can be trained."""
    torch.manual_seed(0)
    return {"model": models.VAE(4, 2, (3,), "normal-fixed", sigma=1.0).to(X.dtype), "guide": guide()}


def guide() -> Any:
    return guides.AmortizedNormal(4, 2, (3,)).to(X.dtype)


def _inference() -> dict[str, tuple[Any, dict[str, Any]]]:
    t, d, e = target(), draws(), estimate()
    programs = {"model": PROBLEM.model, "guide": PROBLEM.guide, "*": (X,)}
    few: dict[str, Any] = {"options": {"num_samples": 20, "search": False}, "progress": False}
    short = {"num_steps": 8, "num_chains": 2, "num_pilot": 2}
    return {
        "Target": (inference.Target, programs),
        "check_program": (inference.check_program, programs),
        "Target.from_functions": (
            inference.Target.from_functions,
            {
                "sample": lambda s, x: torch.randn(s, len(x), 2, dtype=x.dtype),
                "log_q": lambda z, x: -(z**2).sum(-1) / 2 - 1.8378770664093453,
                "log_joint": lambda z, x: -(z**2).sum(-1) / 2,
                "*": (X,),
                "dim": 2,
            },
        ),
        "Target.propose": (t.propose, {"num_samples": 2}),
        "Target.log_guide": (t.log_guide, {"z": t.propose(2)[0]}),
        "Target.log_joint": (t.log_joint, {"z": t.propose(2)[0]}),
        "Target.latent_terms": (t.latent_terms, {"z": t.propose(2)[0]}),
        "Target.unconstrain": (t.unconstrain, {"z": t.propose(2)[0]}),
        "Target.log_joint_unconstrained": (t.log_joint_unconstrained, {"u": t.unconstrain(t.propose(2)[0])}),
        "Target.log_weights": (t.log_weights, {"num_samples": 2}),
        "Target.sample_prior": (t.sample_prior, {"num_samples": 2}),
        "Target.simulate": (t.simulate, {"seed": 0}),
        "Target.select": (t.select, {"index": [0, 1]}),
        "importance": (inference.importance, {"target": t, "num_samples": 20, "search": False}),
        "bounds": (inference.bounds, {"target": t, "num_samples": 20, "search": False}),
        "quadrature": (inference.quadrature, {"target": t, "tolerance": 1e-2}),
        "anneal": (inference.anneal, {"target": t, "search": False, **short}),
        "anneal_reverse": (inference.anneal_reverse, {"target": t, "posterior": d, "allow_failed": True, **short}),
        "bidirectional": (inference.bidirectional, {"target": t, **short}),
        "smc": (inference.smc, {"target": t, "num_particles": 8, "num_runs": 2, "num_steps": 8, "search": False}),
        "bridge": (inference.bridge, {"target": t, "draws": d}),
        "adapted_importance": (inference.adapted_importance, {"target": t, "draws": d, "num_samples": 100}),
        "bracket": (inference.bracket, {"target": t, "budget": 2.0, "tolerance": 2.0}),
        "versus": (inference.versus, {"a": t, "b": t, "budget": 2.0, "tolerance": 2.0}),
        "hmc": (inference.hmc, {"target": t, "num_chains": 2, "num_warmup": 4, "num_draws": 4}),
        "nuts": (inference.nuts, {"target": t, "data": [0], "num_chains": 1, "num_warmup": 2, "num_draws": 2}),
        "decompose": (inference.decompose, {"target": t, "families": ["mean-field"], "num_samples": 32}),
        "attribute_sites": (inference.attribute_sites, {"target": t, "num_outer": 4, "num_inner": 8}),
        "agreement": (inference.agreement, {"target": t, "draws": d, "num_samples": 100}),
        "compare": (inference.compare, {"target": t, "data": [0, 1], "num_samples": 50, "mcmc": False}),
        "calibrate": (inference.calibrate, {"target": t, "num_simulations": 30, "num_draws": 20}),
        "latent_use": (inference.latent_use, {"target": t, "num_samples": 100}),
        "audit_target": (inference.audit_target, {"target": t, "budget": 3.0, "num_simulations": 20}),
        "audit": (inference.audit, {**programs, "budget": 3.0, "num_simulations": 20}),
        "explore": (inference.explore, {"of": explored_audit(), "data": [0], "budget": 3.0}),
        "perplexity": (inference.perplexity, {"estimate": e, "x": torch.ones(5, 3)}),
        "bits_per_dimension": (inference.bits_per_dimension, {"estimate": e, "x": X}),
        "code_usage": (inference.code_usage, {"codes": torch.tensor([[0, 1], [1, 1]]), "num_codes": 2}),
        "encoder_overfitting": (inference.encoder_overfitting, {"train": decomposition(), "test": decomposition()}),
        "fit": (inference.fit, {**pair(), "data": X, "num_epochs": 1, "progress": False}),
        "retrain_guide": (
            inference.retrain_guide,
            {
                "target": inference.Target(Decoder(), Amortized(), torch.zeros(3, 8, dtype=X.dtype)),
                "guide": Amortized(),
                "x_train": torch.zeros(3, 8, dtype=X.dtype),
                "num_samples": 8,
            },
        ),
        "load_checkpoint": (inference.load_checkpoint, {**pair(), "run_dir": Path(mkdtemp())}),
        "shard": (inference.shard, {"target": t, "output": _shards() / "more", **few}),
        "shard_cost": (inference.shard_cost, {"target": t, "options": few["options"]}),
        "shards_standing": (inference.shards_standing, {"output": _shards()}),
        "merge_shards": (inference.merge_shards, {"output": _shards()}),
        "read_shards": (inference.read_shards, {"file": _shards()}),
        "Gates": (inference.Gates, {}),
        "Evaluations": (inference.Evaluations, {"number": 100.0}),
        "Draws.select": (d.select, {"data": [0]}),
        "Draws.quantiles": (d.quantiles, {"levels": torch.tensor([0.5])}),
        "Draws.to_arviz": (d.to_arviz, {}),
        "Bracket.interval": (bracket().interval, {}),
        "Bracket.select": (bracket().select, {"rows": [0]}),
        "Bracket.method": (bracket().method, {"b": 0}),
        "Bracket.table": (bracket().table, {}),
        "Bracket.least_certain": (bracket().least_certain, {"most": 2}),
        "Audit.table": (bad_audit().table, {}),
        "Estimate.flagged": (e.flagged, {"causes": [""] * 5}),
        "Estimate.doubted": (e.doubted, {"reason": "made up"}),
        "Draws.doubted": (d.doubted, {"reason": "made up"}),
        "Bracket.doubted": (bracket().doubted, {"reason": "made up"}),
    }


def _models() -> dict[str, tuple[Any, dict[str, Any]]]:
    sized = {"data_dim": 4, "latent_dim": 2}
    hidden = {**sized, "hidden": (3,)}
    layers, centred = (models.HierarchicalVAE(4, (2, 2), (3,), centred=c) for c in (False, True))
    classes = {
        "PPCA": sized,
        "FactorAnalysis": sized,
        "VAE": hidden,
        "ConditionalVAE": {**hidden, "num_classes": 2},
        "ConvolutionalVAE": {"data_dim": 16, "latent_dim": 2, "hidden": (2,)},
        "DeepMarkov": hidden,
        "HierarchicalVAE": {"data_dim": 4, "latent_dims": (2, 2), "hidden": (3,)},
        "LinearDynamicalSystem": sized,
        "Mixture": {"data_dim": 4, "num_components": 2},
        "ProdLDA": {"data_dim": 4, "num_topics": 2},
        "SemiSupervisedVAE": {**hidden, "num_classes": 2},
        "VectorQuantized": {"data_dim": 4, "num_codes": 3, "hidden": (3,)},
        "from_decoder": {"decoder": nn.Linear(2, 4), "latent_dim": 2, "likelihood": "bernoulli"},
        "PosteriorMixture": {"encoder": nn.Linear(4, 4), "pseudo_inputs": torch.zeros(3, 4)},
    }
    guide_classes = {
        "AmortizedCategorical": {"data_dim": 4, "num_components": 2},
        "AmortizedFullNormal": hidden,
        "AmortizedMixture": hidden,
        "AmortizedNormal": hidden,
        "BottomUp": {"model": centred, "hidden": (3,)},
        "Ladder": {"model": layers, "hidden": (3,)},
        "TopDown": {"model": layers, "hidden": (3,)},
        "ConditionalNormal": {**hidden, "context_dim": 2},
        "ConvolutionalNormal": {"data_dim": 16, "latent_dim": 2, "image_shape": (1, 4, 4), "hidden": (2,)},
        "DeepKalmanSmoother": {"model": models.DeepMarkov(4, 2, (3,)), "num_features": 3},
        "ExactPosterior": {"model": models.PPCA(4, 2)},
        "FlowGuide": hidden,
        "LabelAndNormal": {**hidden, "num_classes": 2},
        "NearestCode": {"model": models.VectorQuantized(4, 3, hidden=(3,)), "hidden": (3,)},
        "PlanarGuide": hidden,
        "SemiAmortized": {"guide": guides.AmortizedNormal(4, 2, (3,)), "model": models.VAE(4, 2, (3,))},
        "from_encoder": {"encoder": nn.Linear(4, 4), "output": "stacked_mean_log_var"},
    }
    return {name: (getattr(models, name), given) for name, given in classes.items()} | {
        name: (getattr(guides, name), given) for name, given in guide_classes.items()
    }


def _networks() -> dict[str, tuple[Any, dict[str, Any]]]:
    sizes: dict[str, Any] = {"num_inputs": 4, "hidden": (3,), "num_outputs": 2}
    square = {"image_shape": (1, 4, 4), "hidden": (2,)}
    return {
        "networks.mlp": (networks.mlp, sizes),
        "networks.residual_mlp": (networks.residual_mlp, sizes),
        "networks.MeanStd": (networks.MeanStd, sizes),
        "networks.conv_encoder": (networks.conv_encoder, {**square, "num_outputs": 2}),
        "networks.conv_decoder": (networks.conv_decoder, {**square, "num_inputs": 2}),
        "networks.conv_widths": (networks.conv_widths, {"image_shape": (1, 8, 8)}),
        "networks.BackwardGRU": (networks.BackwardGRU, {"num_inputs": 2, "num_features": 2}),
    }


@cache
def _array() -> Path:
    """A file of data."""
    path = Path(mkdtemp()) / "x.npy"
    np.save(path, X.numpy())
    return path


def _others() -> dict[str, tuple[Any, dict[str, Any]]]:
    made = densities.make_density("made", 4, levels=2, hidden=(3,))
    zeros = torch.zeros(5, 4)
    digits = datasets.load("digits", limit=40)
    image: dict[str, Any] = {"image_shape": IMAGE}
    return {
        "load": (datasets.load, {"name": "digits", "limit": 20}),
        "mapped": (datasets.mapped, {"path": _array()}),
        "check_binary": (datasets.check_binary, {"x": zeros}),
        "dequantized": (datasets.dequantized, {"x": zeros, "levels": 17}),
        "keep_labels": (datasets.keep_labels, {"data": digits, "per_class": 1}),
        "density_class": (densities.density_class, {"name": "made"}),
        "make_density": (densities.make_density, {"name": "made", "data_dim": 4}),
        "MADE": (densities.MADE, {"data_dim": 4, "hidden": (3,)}),
        "RBM": (densities.RBM, {"data_dim": 4, "num_hidden": 2}),
        "Adversarial": (densities.Adversarial, {"data_dim": 4, "levels": 2, "hidden": (3,)}),
        "Diffusion": (densities.Diffusion, {"data_dim": 4, "levels": 2, "hidden": (3,)}),
        "FlowDensity": (densities.FlowDensity, {"data_dim": 4, "levels": 2, "hidden": (3,)}),
        "held_out": (densities.held_out, {"density": made, "test": zeros}),
        "mean_over_data": (densities.mean_over_data, {"estimate": estimate()}),
        "save_density": (densities.save_density, {"density": made, "path": Path(mkdtemp()) / "a", "name": "made"}),
        "load_density": (densities.load_density, {"path": "absent"}),
        "problem": (reference.problem, {"name": "normal"}),
        "from_posterior": (
            adapters.from_posterior,
            {"posterior": object(), "log_joint": lambda z, x: z.sum(-1), "*": (X,)},
        ),
        "fit_sigma": (
            adapters.fit_sigma,
            {
                "model": _plain(),
                "guide": guides.from_encoder(nn.Linear(4, 4).to(X.dtype), output="stacked_mean_std"),
                "x": X,
            },
        ),
        "Monitor": (adapters.Monitor, {**pair(), "*": (X,), "every": 1}),
        "compare_rivals": (rivals.compare_rivals, {"data": rivals.digits("binary", 40), "rows": ["pixels"]}),
        "rivals.digits": (rivals.digits, {"kind": "binary", "limit": 40}),
        "image_rows_figure": (report.image_rows_figure, {"rows": {"a": pictures(2)}, "title": "", **image}),
        "interpolation_figure": (
            report.interpolation_figure,
            {"decode": decode, "encode": _same, "pairs": [(pictures(2)[0], pictures(2)[1])], **image},
        ),
    }


def _plain() -> Any:
    return models.from_decoder(nn.Linear(2, 4), latent_dim=2, likelihood="normal-fixed", sigma="optimal").to(X.dtype)


def _encoder() -> Any:
    return guides.from_encoder(nn.Linear(4, 4).to(X.dtype), output="stacked_mean_std")


def _same(x: Tensor) -> Tensor:
    return x


def _reports() -> dict[str, tuple[Any, dict[str, Any]]]:
    folder, image = Path(mkdtemp()), {"image_shape": IMAGE}
    audit, c, e = bad_audit(), comparison(), comparison().evidence["importance"]
    history = [{"epoch": 1, "train_loss": 9.0}]
    return {
        "audit_datatree": (report.audit_datatree, {"audit": audit}),
        "audit_record": (report.audit_record, {"audit": audit}),
        "audit_table": (report.audit_table, {"audit": audit}),
        "bounds_table": (report.bounds_table, {"sampled": e}),
        "bracket_table": (report.bracket_table, {"bracket": audit.bracket}),
        "comparison_record": (report.comparison_record, {"comparison": c}),
        "comparison_table": (report.comparison_table, {"comparison": c}),
        "comparison_to_arviz": (report.comparison_to_arviz, {"comparison": c}),
        "draws_datatree": (report.draws_datatree, {"draws": c.draws}),
        "draws_to_arviz": (report.draws_to_arviz, {"draws": c.draws}),
        "evidence_table": (report.evidence_table, {"sampled": e}),
        "gap_figure": (report.gap_figure, {"sampled": e}),
        "is_picture": (report.is_picture, {"kind": "bag"}),
        "look": (report.look, {"role": "guide"}),
        "loss_figure": (report.loss_figure, {"history": history}),
        "posterior_figure": (report.posterior_figure, {"target": toy().target, "comparison": c}),
        "prior_samples_figure": (report.prior_samples_figure, {"samples": pictures(3), **image}),
        "reconstruction_figure": (
            report.reconstruction_figure,
            {"originals": pictures(2), "reconstructions": pictures(2), **image},
        ),
        "save_audit": (report.save_audit, {"audit": audit, "directory": folder}),
        "save_audit_json": (report.save_audit_json, {"audit": audit, "path": folder / "a.json"}),
        "save_audit_netcdf": (report.save_audit_netcdf, {"audit": audit, "path": folder / "a.nc"}),
        "save_explorer": (report.save_explorer, {"exploration": one_latent(), "path": folder / "e.html"}),
        "save_html": (report.save_html, {"audit": audit, "path": folder / "a.html"}),
        "save_figure": (report.save_figure, {"figure": report.loss_figure(history), "path": folder / "a.png"}),
        "save_json": (report.save_json, {"comparison": c, "path": folder / "c.json"}),
        "save_netcdf": (report.save_netcdf, {"comparison": c, "path": folder / "c.nc"}),
        "sequences_figure": (report.sequences_figure, {"rows": {"a": torch.zeros(2, 3, 1)}, "mask": None, "title": ""}),
        "summary": (report.summary, {"comparison": c}),
        "to_datatree": (report.to_datatree, {"comparison": c}),
        "topics_figure": (report.topics_figure, {"topics": torch.ones(2, 5) / 5}),
        "training_table": (report.training_table, {"history": history}),
        "traversal_figure": (report.traversal_figure, {"decode": decode, "latent_dim": 2, **image}),
        "usage_figure": (report.usage_figure, {"usage": inference.code_usage(torch.tensor([[0, 1]]), 2)}),
        "versus_figure": (report.versus_figure, {"found": reversed_pair()}),
        "with_error": (report.with_error, {"value": 1.0, "error": 0.1}),
    }


@cache
def good_calls() -> tuple[GoodCall, ...]:
    """All of them, in the order in which they are tried."""
    every = _inference() | _models() | _networks() | _others() | _reports()
    return tuple(GoodCall(name, function, given) for name, (function, given) in every.items())
