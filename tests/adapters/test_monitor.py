"""A look during training: the numbers of the whole programs, and nothing of the training is moved."""

import math
import sys
from types import SimpleNamespace
from typing import Any

import pyro
import pytest
import torch
from torch import Tensor, nn

from elbowroom.adapters import Monitor, from_vae, lightning_callback
from elbowroom.inference import ProgramError, Target, importance
from toys.programs import data

B, D = 6, 2
X = data(B, D) * 1.4
WIDTH = 0.9  # of q over the posterior's


class Conjugate(nn.Module):
    """z ~ N(0, I), x | z ~ N(z, I); q = N(gain x, WIDTH² / 2): at gain ½ the room is known."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.2))
        self.noise = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(D, affine=False)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.norm(x)
        return self.gain * self.noise(x), torch.full_like(x, WIDTH * 0.5**0.5)

    def decode(self, z: Tensor) -> Tensor:
        return 1.0 * z


def programs(vae: Conjugate) -> tuple[Any, Any]:
    vae.eval()
    made = from_vae(vae, X, likelihood="normal-fixed", sigma=1.0, encoder_output="mean_std", decoder_output="mean")
    vae.train()
    return made


def test_a_look_sees_the_weights_of_its_step() -> None:
    vae, lines = Conjugate(), []
    model, guide = programs(vae)
    monitor = Monitor(model, guide, X, every=10, num_samples=2000, say=lines.append)
    assert monitor(10) is not None and monitor(11) is None
    with torch.no_grad():
        vae.gain.fill_(0.5)
    first, second = monitor.history[0], monitor(20)
    assert second is not None and monitor.history == (first, second) and [w.step for w in monitor.history] == [10, 20]
    known = D * (-math.log(WIDTH) + (WIDTH**2 - 1) / 2)
    assert abs(second.room - known) < 4 * second.room_stderr < 0.1
    known_first = known + float((0.3 * X).square().sum(-1).mean())  # (0.3 x)² / (2 · ½) more
    assert abs(first.room - known_first) < 4 * first.room_stderr + 0.02
    assert (second.num_data, second.num_active, second.num_latents, second.num_heavy) == (B, D, D, 0)
    vae.eval()
    whole = importance(Target(model, guide, X), num_samples=2000, seed=0, search=False)
    assert second.log_p == float(whole.value.mean())
    assert second.elbo == float(whole.info["elbo"].mean())
    assert second.pareto_k == float(whole.info["pareto_k"].median())
    assert lines[1] == str(second) and "room 0.02 ± 0.0" in lines[1] and "2 of 2 latents active" in lines[1]


def test_latents_that_do_not_move_are_not_active() -> None:
    vae = Conjugate()
    with torch.no_grad():
        vae.gain.fill_(0.0)
    watched = Monitor(*programs(vae), X, num_samples=400, say=None).look(0)
    assert (watched.num_active, watched.num_latents) == (0, D)


def test_training_is_left_as_it_was() -> None:
    vae = Conjugate()
    monitor = Monitor(*programs(vae), X, every=1, say=None)
    vae.noise.eval()  # a part that is frozen while the rest is trained
    vae.gain.grad = torch.tensor(3.0)
    pyro.get_param_store()["mine"] = torch.tensor(1.0)
    modes = {name: module.training for name, module in vae.named_modules()}
    statistics = {name: value.clone() for name, value in vae.named_buffers()}
    state = torch.get_rng_state()
    monitor(1)
    assert {name: module.training for name, module in vae.named_modules()} == modes
    assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()
    assert vae.gain.grad == 3.0 and list(pyro.get_param_store()) == ["mine"]
    assert all(torch.equal(value, statistics[name]) for name, value in vae.named_buffers())
    vae.decode = lambda z: 1 / 0  # type: ignore[method-assign]
    broken = Monitor(monitor._triple[0], lambda x: vae.decode(x), X, say=None)
    with pytest.raises(ProgramError, match="division by zero"):
        broken.look(2)
    assert {name: module.training for name, module in vae.named_modules()} == modes


def test_numbers_out_of_range_are_refused() -> None:
    for wrong in ({"every": 0}, {"num_samples": 1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}.* got"):
            Monitor(print, print, X, **wrong)


def test_a_callback_asks_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    class Callback:
        pass

    monkeypatch.setitem(sys.modules, "pytorch_lightning", SimpleNamespace(Callback=Callback))
    monkeypatch.delitem(sys.modules, "lightning.pytorch", raising=False)
    monitor = Monitor(*programs(Conjugate()), X, every=2, num_samples=50, say=None)
    callback = lightning_callback(monitor)
    assert isinstance(callback, Callback)
    logged: list[dict[str, float]] = []
    module = SimpleNamespace(log_dict=lambda values, rank_zero_only: logged.append(values))
    for step in (1, 1, 2, 2, 3, 4):  # two batches to a step
        callback.on_train_batch_end(SimpleNamespace(global_step=step, is_global_zero=True), module, None, None, 0)
    callback.on_train_batch_end(SimpleNamespace(global_step=6, is_global_zero=False), module, None, None, 0)
    assert [watched.step for watched in monitor.history] == [2, 4]
    assert [values["elbowroom/room"] for values in logged] == [watched.room for watched in monitor.history]


def test_without_lightning_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"elbowroom\[lightning\]"):
        lightning_callback(Monitor(print, print, X))
