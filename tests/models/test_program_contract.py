"""What every model with each of its guides must do: shapes, gradients, one term per datum, saving, exact log p(x)."""

from collections.abc import Callable
from typing import Any

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from safetensors.torch import load, save
from torch import Tensor, nn

from elbowroom.guides import AmortizedGuide, from_encoder
from elbowroom.guides.registry import GUIDES, make_guide
from elbowroom.inference import Target, fit, importance, quadrature
from elbowroom.models import LatentModel, from_decoder
from elbowroom.models.registry import MODELS, model_class
from toys.failure_budget import sigmas

B, P, D, S = 5, 6, 2, 3  # P and D are those of every `tiny` of the registry


class Heads(nn.Module):
    """Somebody's network with two outputs, the second made positive if asked."""

    def __init__(self, num_inputs: int, num_outputs: int, *, positive: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(num_inputs, num_outputs), nn.Linear(num_inputs, num_outputs)
        self.positive = positive

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        second = self.second(inputs)
        return self.first(inputs), nn.functional.softplus(second) if self.positive else second


def probs() -> nn.Module:
    return nn.Sequential(nn.Linear(D, P), nn.Sigmoid())


def image() -> nn.Module:
    return nn.Sequential(nn.Linear(D, P), nn.Unflatten(-1, (1, 2, 3)))


def wrapped(make: Callable[[], nn.Module], likelihood: str, output: str) -> Callable[[], LatentModel]:
    return lambda: from_decoder(make(), latent_dim=D, likelihood=likelihood, output=output)


FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    **{family: (family, {}) for family in MODELS},
    "vae-fixed": ("vae", {"hidden": (4, 3), "likelihood": "normal-fixed", "sigma": 0.3, "activation": "tanh"}),
    "vae-learned": ("vae", {"likelihood": "normal-learned", "activation": "softplus"}),
    "vae-heteroscedastic": ("vae", {"likelihood": "normal-heteroscedastic"}),
}
"""The registry's families as they are named there, and with other options."""

LIKELIHOODS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae-beta": ("vae", {"likelihood": "beta"}),
    "vae-continuous-bernoulli": ("vae", {"likelihood": "continuous-bernoulli"}),
    "vae-binomial": ("vae", {"likelihood": "binomial", "likelihood_options": {"trials": 3}}),
    "vae-categorical": ("vae", {"likelihood": "categorical", "likelihood_options": {"levels": 4}}),
    "vae-discretised-logistic": ("vae", {"likelihood": "discretised-logistic", "likelihood_options": {"levels": 4}}),
    "vae-poisson": ("vae", {"likelihood": "poisson"}),
    "vae-negative-binomial": ("vae", {"likelihood": "negative-binomial"}),
    "vae-zero-inflated": ("vae", {"likelihood": "zero-inflated-negative-binomial"}),
    "vae-multinomial": ("vae", {"likelihood": "multinomial"}),
    "vae-exposure": ("vae", {"likelihood": "negative-binomial", "likelihood_options": {"exposure": "total"}}),
}
"""What a VAE may say of other data, with one guide each."""

DECODERS: dict[str, Callable[[], LatentModel]] = {
    "decoder-logits": wrapped(lambda: nn.Linear(D, P), "bernoulli", "logits"),
    "decoder-probs": wrapped(probs, "bernoulli", "probs"),
    "decoder-image": wrapped(image, "normal-learned", "mean"),
    "decoder-log-var": wrapped(lambda: Heads(D, P, positive=False), "normal-heteroscedastic", "mean_log_var"),
    "decoder-std": wrapped(lambda: Heads(D, P, positive=True), "normal-heteroscedastic", "mean_std"),
}
ENCODERS: dict[str, Callable[[], AmortizedGuide]] = {
    "encoder-log-var": lambda: from_encoder(Heads(P, D, positive=False), output="mean_log_var"),
    "encoder-std": lambda: from_encoder(Heads(P, D, positive=True), output="mean_std"),
}
REGISTERED = [(family, guide) for family, entry in MODELS.items() for guide in entry.guides]
PAIRS = [
    *((name, guide) for name, (family, _) in FAMILIES.items() for guide in (*MODELS[family].guides, *ENCODERS)),
    *((name, guide) for name in DECODERS for guide in (*MODELS["vae"].guides, *ENCODERS)),
    *((name, "normal") for name in LIKELIHOODS),
]
every_pair = pytest.mark.parametrize(("model_name", "guide_name"), PAIRS)
every_model = pytest.mark.parametrize("model_name", [*FAMILIES, *DECODERS, *LIKELIHOODS])


def build_model(name: str) -> LatentModel:
    if name in DECODERS:
        return DECODERS[name]()
    family, options = {**FAMILIES, **LIKELIHOODS}[name]
    return model_class(family)(**{**MODELS[family].tiny, **options})


def build(model_name: str, guide_name: str = "normal", seed: int = 0) -> tuple[LatentModel, AmortizedGuide]:
    torch.manual_seed(seed)
    model = build_model(model_name)
    if guide_name in ENCODERS:
        return model, ENCODERS[guide_name]()
    return model, make_guide(guide_name, model, P, **GUIDES[guide_name].tiny)


def data(model_name: str, num_data: int = B) -> Tensor:
    """What the model's likelihood is for; real numbers for a model that has none."""
    values = torch.randn(num_data, P)
    kind = getattr(getattr(build_model(model_name), "likelihood", None), "data", "real")
    return {"binary": (values > 0).to(values), "real": values, "unit": values.sigmoid()}.get(
        kind, (1.5 + values).round().clamp(0, 3)
    )


def run(model, guide, x: Tensor, num_samples: int | None = None):
    """One run of guide and model on its draws, under an outer plate of samples if asked."""
    with pyro.plate("samples", num_samples or 1, dim=-2) if num_samples else poutine.block(hide=[]):
        guide_trace = poutine.trace(guide).get_trace(x)
        model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(x)
    for trace in (guide_trace, model_trace):
        trace.compute_log_prob()
    return guide_trace, model_trace


def terms(model: LatentModel, guide: AmortizedGuide, x: Tensor, z: Tensor) -> Tensor:
    """log q(z|x), log p(z), log p(x|z) at given z `[B, D]`, stacked: `[3, B]`."""
    sites = []
    for program in (guide, model):
        trace = poutine.trace(poutine.condition(program, data={"z": z})).get_trace(x)
        trace.compute_log_prob()
        sites.append(trace.nodes)
    return torch.stack([sites[0]["z"]["log_prob"], sites[1]["z"]["log_prob"], sites[1]["x"]["log_prob"]])


@every_pair
@pytest.mark.parametrize("num_data", [1, B])
def test_shapes_and_plates(model_name: str, guide_name: str, num_data: int) -> None:
    (model, guide), x = build(model_name, guide_name), data(model_name, num_data)
    for trace in run(model, guide, x):
        assert trace.nodes["z"]["value"].shape == (num_data, D)
        for site in ("z", "x"):
            if site in trace.nodes:
                node = trace.nodes[site]
                assert node["log_prob"].shape == (num_data,)
                assert [(frame.name, frame.dim) for frame in node["cond_indep_stack"]] == [("data", -1)]
    assert model.prior().batch_shape == () and model.prior().event_shape == (D,)
    assert model.decode(torch.zeros(S, num_data, D)).shape() == (S, num_data, P)
    assert guide.encode(x).shape() == (num_data, D)


@every_pair
def test_a_plate_of_samples_equals_a_loop(model_name: str, guide_name: str) -> None:
    (model, guide), x = build(model_name, guide_name), data(model_name)
    guide_trace, model_trace = run(model, guide, x, num_samples=S)
    z = guide_trace.nodes["z"]["value"]
    assert z.shape == (S, B, D)
    got = torch.stack([guide_trace.nodes["z"]["log_prob"], *(model_trace.nodes[n]["log_prob"] for n in ("z", "x"))])
    expected = torch.stack([terms(model, guide, x, z[s]) for s in range(S)], dim=1)
    assert got.shape == (3, S, B)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    assert len({tuple(row.tolist()) for row in z[:, 0]}) == S  # the samples differ


@every_pair
def test_row_b_depends_on_row_b_alone(model_name: str, guide_name: str) -> None:
    (model, guide), x, z = build(model_name, guide_name), data(model_name), torch.randn(B, D)
    whole = terms(model, guide, x, z)
    alone = torch.cat([terms(model, guide, x[b : b + 1], z[b : b + 1]) for b in range(B)], dim=1)
    torch.testing.assert_close(whole, alone, rtol=1e-12, atol=1e-12)
    order = torch.randperm(B)
    torch.testing.assert_close(terms(model, guide, x[order], z[order]), whole[:, order], rtol=1e-12, atol=1e-12)
    assert whole[2].unique().numel() == B  # and the data do differ


@every_pair
def test_gradients_reach_every_parameter(model_name: str, guide_name: str) -> None:
    (model, guide), x = build(model_name, guide_name), data(model_name)
    Trace_ELBO().differentiable_loss(model, guide, x).backward()
    for name, parameter in (*model.named_parameters(), *guide.named_parameters()):
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


@every_pair
def test_a_saved_state_gives_the_same_terms(model_name: str, guide_name: str) -> None:
    x, z = data(model_name), torch.randn(B, D)
    saved, fresh = build(model_name, guide_name, seed=1), build(model_name, guide_name, seed=2)
    before = terms(*saved, x, z)
    assert not torch.equal(terms(*fresh, x, z), before)
    for old, new in zip(saved, fresh, strict=True):
        new.load_state_dict(load(save(old.state_dict())))
    assert torch.equal(terms(*fresh, x, z), before)


@every_pair
def test_construction_is_a_function_of_the_seed(model_name: str, guide_name: str) -> None:
    one, two = build(model_name, guide_name, seed=7), build(model_name, guide_name, seed=7)
    for a, b in zip(one, two, strict=True):
        for name, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[name]), name


@every_pair
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("validate", [True, False])
def test_dtypes_with_and_without_validation(
    model_name: str, guide_name: str, dtype: torch.dtype, validate: bool
) -> None:
    (model, guide), x, z = build(model_name, guide_name), data(model_name), torch.randn(B, D)
    exact = terms(model, guide, x, z)
    with pyro.validation_enabled(validate):
        model, guide = model.to(dtype), guide.to(dtype)
        got = terms(model, guide, x.to(dtype), z.to(dtype))
        for trace in run(model, guide, x.to(dtype), num_samples=S):
            assert trace.nodes["z"]["value"].dtype == trace.nodes["z"]["log_prob"].dtype == dtype
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), exact, rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-12)


@every_pair
def test_built_in_float32_under_a_float64_default(model_name: str, guide_name: str) -> None:
    torch.set_default_dtype(torch.float32)
    model, guide = build(model_name, guide_name)
    x = data(model_name)
    torch.set_default_dtype(torch.float64)
    for trace in run(model, guide, x):
        assert trace.nodes["z"]["log_prob"].dtype == torch.float32
    assert model.generate(2).mean.dtype == torch.float32


@every_pair
def test_svi_with_the_global_parameter_store(model_name: str, guide_name: str) -> None:
    (model, guide), x = build(model_name, guide_name), data(model_name)
    parameters = dict([*model.named_parameters(), *guide.named_parameters()])
    before = {name: value.detach().clone() for name, value in parameters.items()}
    SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO()).step(x)
    for name, value in parameters.items():
        assert not torch.equal(value, before[name]), name
    assert len(pyro.get_param_store()) == len(parameters)


@every_pair
def test_module_local_parameters_leave_the_store_empty(model_name: str, guide_name: str) -> None:
    """Built outside the setting, run inside: the same loss, gradients everywhere, nothing in the global store."""
    (model, guide), x = build(model_name, guide_name), data(model_name)
    torch.manual_seed(3)
    expected = Trace_ELBO().loss(model, guide, x)
    pyro.clear_param_store()
    with pyro.settings.context(module_local_params=True):
        elbo = Trace_ELBO()(model, guide)
        torch.manual_seed(3)
        loss = elbo(x)
        loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert all(p.grad is not None for p in (*model.parameters(), *guide.parameters()))
    assert len(pyro.get_param_store()) == 0


@every_model
def test_generate(model_name: str) -> None:
    model, _ = build(model_name)
    state = torch.get_rng_state()
    z, mean = model.generate(4, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert z.shape == (4, D) and mean.shape == (4, P) and not mean.requires_grad
    torch.testing.assert_close(mean, model.decode(z).mean)
    assert torch.equal(model.generate(4, seed=1).z, z) and not torch.equal(model.generate(4, seed=2).z, z)
    with pytest.raises(ValueError, match="num_samples: got 0"):
        model.generate(0)


@every_model
def test_images_equal_flat_data(model_name: str) -> None:
    (model, guide), x, z = build(model_name), data(model_name), torch.randn(B, D)
    assert torch.equal(terms(model, guide, x.reshape(B, 1, 2, 3), z), terms(model, guide, x, z))


@every_model
@pytest.mark.parametrize("width", [1, P - 1, P + 1])
def test_a_wrong_width_names_both_numbers(model_name: str, width: int) -> None:
    (model, guide), x = build(model_name), data(model_name)
    wrong = x.repeat(1, 2)[:, :width]
    for program in (guide, model):
        with pytest.raises(ValueError, match=rf"^x: got {width} values per datum .*expected {P} "):
            program(wrong)


@every_pair
def test_bad_batches_are_refused(model_name: str, guide_name: str) -> None:
    (model, guide), x = build(model_name, guide_name), data(model_name)
    for program in (guide, model):
        with pytest.raises(ValueError, match=r"x: got shape \(6,\).*x\[None\]"):
            program(x[0])
        with pytest.raises(ValueError, match=r"x: got shape \(0, 6\)"):
            program(x[:0])
        with pytest.raises(TypeError, match=r"x: got torch.uint8.*torch.float64.*x.to\("):
            program(x.to(torch.uint8))
        with pytest.raises(TypeError, match=r"x: got ndarray.*torch\.as_tensor"):
            program(x.numpy())
        with pytest.raises(ValueError, match="x: got device meta, but the program is on cpu"):
            program(x.to("meta"))


@pytest.mark.parametrize(("model_name", "guide_name"), REGISTERED)
def test_log_p_is_the_one_that_is_known_exactly(model_name: str, guide_name: str) -> None:
    """A trained guide's importance sampling against the way that the registry names."""
    (model, guide), x = build(model_name, guide_name), data(model_name, 60)
    fit(model, guide, x, num_epochs=100, learning_rate=0.02, progress=False)
    target = Target(model, guide, x[:B])
    exact = quadrature(target).value
    if MODELS[model_name].exact == "closed form":
        torch.testing.assert_close(model.log_prob(x[:B]), exact, rtol=1e-6, atol=1e-6)
    estimate = importance(target, num_samples=4000, seed=0)
    assert not any(estimate.flags)
    assert ((estimate.value - exact).abs() < sigmas(B * len(REGISTERED)) * estimate.stderr + 1e-6).all()


def test_the_registries_name_each_other() -> None:
    for entry in MODELS.values():
        assert entry.guides and set(entry.guides) <= set(GUIDES)
        assert entry.data in ("binary", "real") and entry.exact in ("quadrature", "closed form")
