"""The loss of vector-quantised models: its value and gradients written out, idle codes, masks, what it asks for."""

import pyro.poutine as poutine
import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from elbowroom.guides import AmortizedNormal, NearestCode, NoLatents
from elbowroom.inference import Target, fit
from elbowroom.inference.programs.structure import read_structure
from elbowroom.inference.training import OBJECTIVES
from elbowroom.inference.training.objectives import quantized
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.models import VAE, VectorQuantized

B, P, K, L, E = 6, 5, 4, 2, 2


def pair() -> tuple[VectorQuantized, NearestCode, Tensor]:
    model = VectorQuantized(P, K, L, E, (4,), prior_hidden=(3,))
    return model, NearestCode(model, (4,)), (torch.randn(B, P) > 0).double()


def gradients(model: nn.Module, guide: nn.Module) -> list[Tensor]:
    parameters = [*model.parameters(), *guide.parameters()]
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters]
    for p in parameters:
        p.grad = None
    return found


def loss_of(model, guide, x: Tensor, **options: float) -> float:
    setting = Setting(read_structure(model, guide, (x,), {}, "data"), "data")
    return OBJECTIVES["quantized"].make(setting, **options).loss_and_grads(model, guide, x)


def by_hand(model: VectorQuantized, guide: NearestCode, x: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """The loss as its paper has it, and the term of idle codes."""
    h = guide.encoder(x).reshape(B, L, E)
    distances = (h[:, :, None] - model.codebook).square().sum(-1)
    k = distances.argmin(-1)
    e = model.codebook[k]
    reconstruction = model.likelihood(model.decoder((h + (e - h).detach()).flatten(1))).log_prob(x).sum()
    distance = (h.detach() - e).square().sum() + beta * (h - e.detach()).square().sum()
    idle = [j for j in range(K) if not bool((k == j).any())]
    pulled = sum(((h.detach() - model.codebook[j]).square().sum(-1).min() for j in idle), torch.zeros(()))
    return -reconstruction - model.prior().log_prob(k).sum() + distance, pulled


def test_the_value_and_the_gradients_are_those_written_out() -> None:
    model, guide, x = pair()
    with torch.no_grad():
        model.codebook[0] = 9.0  # nobody's nearest
    for beta in (0.25, 1.5):
        loss, pulled = by_hand(model, guide, x, beta)
        assert pulled > 1
        (loss + pulled).backward()
        expected = gradients(model, guide)
        assert loss_of(model, guide, x, commitment=beta) == pytest.approx(loss.item(), rel=1e-10)
        for found, one in zip(gradients(model, guide), expected, strict=True):
            torch.testing.assert_close(found, one, rtol=1e-9, atol=1e-10)


def test_the_value_is_a_lower_bound_on_log_p() -> None:
    model, guide, x = pair()
    assert OBJECTIVES["quantized"].bounds({}) == "lower"
    at_codes = model.log_joint(x, guide.nearest(x)).sum()
    assert -loss_of(model, guide, x, commitment=0.0) < at_codes < model.log_prob(x).sum()


@pytest.mark.parametrize("pulled", [True, False])
def test_codes_that_are_far_away_come_alive(pulled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And do not by the paper's loss alone."""
    model, guide, _ = pair()
    x = (torch.rand(200, P) < torch.randint(2, (200, 1)) * 0.8 + 0.1).double()
    with torch.no_grad():
        model.codebook[1:] += 5
    assert len(guide.nearest(x).unique()) == 1
    if not pulled:
        monkeypatch.setattr(quantized, "_of_idle_codes", lambda distances, counted: 0)
    fit(model, guide, x, loss="quantized", num_epochs=40, batch_size=50, learning_rate=0.05, progress=False)
    assert (len(guide.nearest(x).unique()) > 1) is pulled


def test_what_a_mask_hides_pulls_nothing() -> None:
    model, guide, x = pair()
    keep = torch.arange(B) < 3
    hidden = [poutine.mask(program, mask=keep) for program in (model, guide)]
    masked = loss_of(*hidden, x)
    found = gradients(model, guide)
    assert masked == pytest.approx(loss_of(model, guide, x[:3]), rel=1e-10)
    for one, other in zip(found, gradients(model, guide), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_programs_that_cannot_be_asked_are_told_what_is_missing() -> None:
    model, guide, x = pair()
    with pytest.raises(ValueError, match=r"a guide that draws one latent, the codes; it draws \['z'\]"):
        fit(VAE(P, 2, (4,)), AmortizedNormal(P, 2, (4,)), x, loss="quantized", progress=False)
    with pytest.raises(ValueError, match=r"it draws \[\], and the model has the discrete ones \['codes'\]"):
        fit(model, NoLatents(), x, loss="quantized", progress=False)
    with pytest.raises(ValueError, match="num_particles=3 is of a guide's draws"):
        fit(model, guide, x, loss="quantized", num_particles=3, progress=False)
    with pytest.raises(ValueError, match="commitment"):
        fit(model, guide, x, loss="quantized", loss_options={"commitment": -1.0}, progress=False)
    with pytest.raises(ValueError, match="loss='quantized' asks the guide for vectors, and it has none"):
        fit(model, lambda x: guide(x), x, loss="quantized", progress=False)


@pytest.mark.slow
def test_digits_reach_their_bar_and_no_estimate_of_a_sum_misses_silently() -> None:
    """At any temperature of the guide: the codes are summed out before anything is drawn."""
    from elbowroom.datasets import load
    from elbowroom.inference import importance

    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    x = load("digits", binarize="threshold")
    model = VectorQuantized(64)
    guide = NearestCode(model)
    options = {"num_epochs": 100, "batch_size": 64, "learning_rate": 1e-2, "schedule": "cosine", "progress": False}
    fit(model, guide, x.train, loss="quantized", **options)
    with torch.no_grad():
        exact, bound = model.log_prob(x.test).double(), model.log_joint(x.test, guide.nearest(x.test)).double()
    assert exact.mean() > -18.8 and 1 < (exact - bound).mean() < 2.5 and bool((bound <= exact + 1e-4).all())
    for temperature in (0.1, 0.3, 1.0, 3.0):
        guide.temperature = temperature
        found = importance(Target(model, guide, x.test), num_samples=200, search=False)
        silent = [
            flag == "" and value < truth - 0.1
            for flag, value, truth in zip(found.flags, found.value, exact, strict=True)
        ]
        assert not any(silent) and abs(found.value.mean() - exact.mean()) < 0.1


def test_a_recorded_step_follows_which_codes_are_idle() -> None:
    """Two of three in the record, one where it is replayed; and none of a batch in which no datum counts."""
    two, one = torch.tensor([[[1.0, 2.0, 3.0], [3.0, 4.0, 6.0]]]), torch.tensor([[[1.0, 2.0, 3.0], [4.0, 3.0, 5.0]]])

    def pulled(distances: Tensor) -> tuple[Tensor, Tensor]:
        asked = distances.detach().requires_grad_()
        value = quantized._of_idle_codes(asked, torch.tensor([True]))
        return value.detach(), torch.autograd.grad(value, asked)[0]

    value, gradient = make_fx(pulled)(two)(one)
    assert value == 3 and gradient.tolist() == [[[0, 0, 1], [0, 0, 0]]]
    assert quantized._of_idle_codes(two, torch.tensor([False])) == 0
