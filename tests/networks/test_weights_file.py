"""Weights from files: whatever they are wrapped in, whole or a part, and refused where they do not fit."""

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from elbowroom.networks import load_weights


class Pair(nn.Module):
    """A VAE as people write it: both networks in one module, under the names 0 and 2 each."""

    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 4))
        self.decoder = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 3))


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, yours = one.state_dict(), other.state_dict()
    return mine.keys() == yours.keys() and all(torch.equal(mine[name], yours[name]) for name in mine)


WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "x.pt": lambda weights: weights,
    "state_dict.ckpt": lambda weights: {
        "epoch": 3,
        "pytorch-lightning_version": "2.5",
        "state_dict": {f"model.{name}": value for name, value in weights.items()} | {"loss.scale": torch.ones(())},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(5, 3)}}}],
    },
    "model_state_dict.pth": lambda weights: {"model_state_dict": weights, "optimizer": {"state": {0: torch.ones(2)}}},
    "model.tar": lambda weights: {"model": weights, "args": {"lr": 0.1}},
    "module.pt": lambda weights: {f"module.{name}": value for name, value in weights.items()},
    "compiled.pt": lambda weights: {"net": {f"_orig_mod.{name}": value for name, value in weights.items()}},
    "beside.pt": lambda weights: {**weights, "optimizer": {"state": {"a": torch.ones(2)}}},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_whole_and_parts_are_found_in_any_wrapping(tmp_path: Path, name: str) -> None:
    trained = Pair()
    torch.save(WRAPPED[name](trained.state_dict()), tmp_path / name)
    whole = Pair()
    found = load_weights(whole, tmp_path / name)
    assert same(whole, trained) and found.num_tensors == 8 and found.path == tmp_path / name
    parts = Pair()
    for part in ("encoder", "decoder"):
        found = load_weights(getattr(parts, part), tmp_path / name)
        assert found.prefix.endswith(f"{part}.") and found.num_tensors == 4
    assert same(parts, trained)


def test_safetensors_and_parts_in_dicts_of_their_own(tmp_path: Path) -> None:
    trained, fresh = Pair(), Pair()
    save_file(trained.state_dict(), tmp_path / "x.safetensors")
    assert load_weights(fresh, tmp_path / "x.safetensors").prefix == "" and same(fresh, trained)
    parts = {part: getattr(trained, part).state_dict() for part in ("encoder", "decoder")}
    torch.save(parts, tmp_path / "parts.pt")
    fresh = Pair()
    load_weights(fresh.encoder, tmp_path / "parts.pt")
    assert same(fresh.encoder, trained.encoder)
    load_weights(fresh, tmp_path / "parts.pt")
    assert same(fresh, trained)
    torch.save(parts["decoder"], tmp_path / "decoder.pt")
    fresh = Pair()
    assert load_weights(fresh.decoder, tmp_path / "decoder.pt").prefix == "" and same(fresh.decoder, trained.decoder)


def test_several_that_fit(tmp_path: Path) -> None:
    """A mean of the weights beside them, or two networks alike: the error lists them, a prefix or a hint chooses."""
    trained, mean = Pair(), Pair()
    torch.save({"model": trained.state_dict(), "ema": {"model": mean.state_dict()}}, tmp_path / "x.pt")
    fresh = Pair()
    with pytest.raises(ValueError, match=r"Pair fit under several prefixes: 'ema\.model\.', 'model\.'\. Say which"):
        load_weights(fresh, tmp_path / "x.pt")
    for prefix, meant in (("ema", mean), ("model.", trained), ("ema.model.", mean)):
        load_weights(fresh, tmp_path / "x.pt", prefix)
        assert same(fresh, meant), prefix
    load_weights(fresh.encoder, tmp_path / "x.pt", prefix="ema.model.encoder")
    assert same(fresh.encoder, mean.encoder)
    torch.save({"state_dict": {"model": trained.state_dict()}, "model": {"ema": mean.state_dict()}}, tmp_path / "y.pt")
    load_weights(fresh, tmp_path / "y.pt", "model")
    assert same(fresh, trained), "a prefix that ends so says more than one with it inside"
    alike = nn.ModuleDict({"encoder": nn.Linear(3, 3), "decoder": nn.Linear(3, 3)})
    torch.save(alike.state_dict(), tmp_path / "alike.pt")
    network = nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r"'decoder\.', 'encoder\.'"):
        load_weights(network, tmp_path / "alike.pt")
    for hint, part in (("enc", "encoder"), ("dec", "decoder")):
        load_weights(network, tmp_path / "alike.pt", hint=hint)
        assert same(network, alike[part])
    load_weights(network, tmp_path / "alike.pt", "decoder", hint="enc")
    assert same(network, alike["decoder"]), "a prefix says more than a hint"


def test_what_does_not_fit(tmp_path: Path) -> None:
    torch.save({"state_dict": Pair().state_dict()}, tmp_path / "x.pt")
    before = Pair(7)
    told = r"nearest: of another shape: encoder\.0\.weight \[5, 3\] in the file, \[7, 3\] in the network"
    with pytest.raises(ValueError, match=told):
        load_weights(before, tmp_path / "x.pt")
    shorter = nn.Sequential(nn.Linear(3, 5))
    with pytest.raises(ValueError, match=r"'state_dict\.encoder\.', .* unexpected in the file: 2\.weight, 2\.bias"):
        load_weights(shorter, tmp_path / "x.pt")
    longer = nn.Sequential(*Pair().encoder, nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"under 'state_dict\.encoder\.', .*missing in the file: 3\.weight, 3\.bias"):
        load_weights(longer, tmp_path / "x.pt", hint="enc")
    with pytest.raises(ValueError, match=r"are not there\. It needs weight_ih_l0.*the file has state_dict\.encoder"):
        load_weights(nn.GRU(2, 2), tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"are not there under 'generator\.'"):
        load_weights(Pair(), tmp_path / "x.pt", "generator")
    top = {"0.weight": torch.ones(5, 3), "0.bias": torch.ones(5), "2.weight": torch.ones(1)}
    torch.save(top, tmp_path / "top.pt")
    with pytest.raises(ValueError, match=r"unexpected in the file: 2\.weight"):
        load_weights(shorter, tmp_path / "top.pt")


def test_counts_of_batch_normalisation_may_be_missing(tmp_path: Path) -> None:
    trained = nn.BatchNorm1d(3)
    trained(torch.randn(5, 3))
    weights = {name: value for name, value in trained.state_dict().items() if "tracked" not in name}
    torch.save(weights, tmp_path / "x.pt")
    fresh = nn.BatchNorm1d(3)
    assert load_weights(fresh, tmp_path / "x.pt").num_tensors == 4
    assert torch.equal(fresh.running_mean, trained.running_mean)


def test_dtype_and_mode_of_the_network_stay(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).half().state_dict(), tmp_path / "x.pt")
    network = nn.Linear(2, 2).double().train()
    load_weights(network, tmp_path / "x.pt")
    assert network.weight.dtype == torch.float64 and network.training


def test_what_runs_code_is_refused_with_its_conversion(tmp_path: Path) -> None:
    """A network saved whole, hyperparameters that are objects; the line of the message makes what can be read."""
    trained = nn.Sequential(nn.Linear(3, 2))
    torch.save(trained, tmp_path / "whole.pt")
    torch.save({"state_dict": trained.state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "args.ckpt")
    for name in ("whole.pt", "args.ckpt"):
        with pytest.raises(ValueError, match=r"refused\. If you trust it, convert it once: python -c") as error:
            load_weights(nn.Sequential(nn.Linear(3, 2)), tmp_path / name)
        *_, code = shlex.split(str(error.value).split("convert it once: ")[1])
        with pytest.MonkeyPatch.context() as here:
            here.chdir(tmp_path)
            exec(code, {})
        fresh = nn.Sequential(nn.Linear(3, 2))
        load_weights(fresh, tmp_path / f"{Path(name).stem}-weights.pt")
        assert same(fresh, trained)


def test_other_files(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    with pytest.raises(FileNotFoundError, match="no file of weights at"):
        load_weights(network, tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("text")
    (tmp_path / "text.safetensors").write_text("text")
    (tmp_path / "empty.pt").write_bytes(b"")
    torch.save(network.state_dict(), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-100])
    for name in ("text.pt", "text.safetensors", "empty.pt", "cut.pt"):
        with pytest.raises(ValueError, match=rf"{name}: (cannot be read|not a file of torch\.save)"):
            load_weights(network, tmp_path / name)
    torch.jit.trace(network, torch.ones(1, 2)).save(tmp_path / "script.pt")
    with pytest.raises(ValueError, match=r"a TorchScript program.*torch\.jit\.load\('script\.pt'\)\.state_dict\(\)"):
        load_weights(network, tmp_path / "script.pt")
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match="it holds a Tensor, expected a state dict"):
        load_weights(network, tmp_path / "tensor.pt")
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    with pytest.raises(ValueError, match="no weights in it"):
        load_weights(network, tmp_path / "none.pt")
    torch.save({"a": torch.ones(1)}, tmp_path / "one.pt")
    with pytest.raises(ValueError, match="ReLU has no weights"):
        load_weights(nn.ReLU(), tmp_path / "one.pt")
    with pytest.raises(TypeError, match="module"):
        load_weights(lambda x: x, tmp_path / "none.pt")  # type: ignore[arg-type]
