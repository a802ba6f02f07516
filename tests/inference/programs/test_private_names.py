"""What is used of Pyro and torch beyond their public names: which version lacks it, or does something else by it."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

import elbowroom.inference
from elbowroom.inference.programs import private_pyro, private_torch

ROOT = Path(elbowroom.inference.__file__).resolve().parent.parent
ROOMS = ("inference", "models", "guides", "networks", "densities", "datasets", "reference", "report", "adapters", "cli")
MEMBERS = {"_mask", "_schema", "_codegen", "_expanded_sizes", "_interstitial_sizes", "_pyro_dims",
           "_buffers", "_is_view", "_subsample"}  # fmt: skip


def test_pyro_has_what_is_used_of_it() -> None:
    context = private_pyro.CallContext()
    with context:
        assert context.active, "call contexts of PyroModules are others now"
    masked = dist.Normal(torch.zeros(3), 1.0).mask(torch.tensor([True, False, True]))
    assert private_pyro.mask_of(masked, torch.device("cpu")).tolist() == [True, False, True]
    assert private_pyro.hides_all(dist.Normal(0.0, 1.0).mask(False)) and not private_pyro.hides_all(masked)
    expanded = dist.ExpandedDistribution(dist.Normal(torch.zeros(2, 1), 1.0), torch.Size([4, 2, 3]))
    sizes, stretched = private_pyro.expanded_batch(expanded)
    assert sizes == (4, 2, 1) and bool(stretched)
    assert private_pyro.dims_of(private_pyro.with_dims(torch.zeros(2, 3), "ab")) == "ab"
    private_pyro.check_mean_field(pyro.poutine.Trace(), pyro.poutine.Trace())


def test_a_plates_request_can_be_replaced_and_is_put_back() -> None:
    asked: list[str] = []

    def request(name: str, *others: object, **options: object) -> object:
        asked.append(name)
        return private_pyro.SUBSAMPLE_REQUEST.__func__(name, *others, **options)

    private_pyro.request_subsamples_by(staticmethod(request))
    try:
        assert pyro.plate("rows", 5).subsample_size == 5
    finally:
        private_pyro.request_subsamples_by(private_pyro.SUBSAMPLE_REQUEST)
    assert pyro.plate("others", 4).subsample_size == 4 and asked == ["rows"]


def test_torch_has_what_is_used_of_it() -> None:
    values = [torch.tensor([1.0, 2.0])]
    private_torch.multiply_each_in_place(values, 3.0)
    assert values[0].tolist() == [3.0, 6.0]
    assert private_torch.is_view(values[0][:1]) and not private_torch.is_view(values[0])
    layer = nn.BatchNorm1d(3)
    assert set(private_torch.buffers_of(layer)) == {"running_mean", "running_var", "num_batches_tracked"}
    assert private_torch.fan_in_of(torch.zeros(5, 7)) == 7
    add = torch.ops.aten.add_.Tensor
    assert isinstance(add, private_torch.OpOverload) and private_torch.schema_of(add).is_mutable
    assert private_torch.schema_of(add).arguments[0].alias_info.is_write
    assert private_torch.schema_of(torch.ops.aten.view.default).returns[0].alias_info is not None
    graph = make_fx(lambda pair: pair[0] + pair[1])([torch.zeros(1), torch.ones(1)]).graph
    assert private_torch.codegen_of(graph) is not None
    assert list(private_torch.tree_iter({"a": [1, 2]})) == [1, 2]
    assert private_torch.tree_map_only(int, lambda n: n + 1, [1, "b"]) == [2, "b"]
    normal = torch.distributions.Normal
    assert private_torch.validation_switched_off(normal(0.0, 1.0, validate_args=False))
    assert not private_torch.validation_switched_off(normal(0.0, 1.0))
    seen: list[str] = []

    class Watch(private_torch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    with Watch():
        torch.ones(2).sum()
    assert any("sum" in name for name in seen)
    with private_torch.tracing(private_torch.TracingContext(None)):
        pass


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [
        (private_pyro, "pyro.nn.module", "_Context"),
        (private_torch, "torch.utils._pytree", "tree_map_only"),
        (private_torch, "torch", "_foreach_mul_"),
    ],
)
def test_a_version_that_lacks_a_name_is_told(
    ours: ModuleType, theirs: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module is executed again under another name, so that the one in use stays as it is."""
    monkeypatch.delattr(importlib.import_module(theirs), name)
    spec = importlib.util.spec_from_file_location("again", ours.__file__)
    assert spec is not None and spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    package = "pyro-ppl" if ours is private_pyro else "torch"
    with pytest.raises(ImportError, match=rf"(?s)lacks a name that elbowroom uses .*{name}.*install '{package}=="):
        spec.loader.exec_module(again)
    assert "again" not in sys.modules


def test_no_other_file_reaches_for_them() -> None:
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert len(paths) > 300
    for path in paths:
        if path.name not in ("private_pyro.py", "private_torch.py"):
            found = list(private_names(ast.parse(path.read_text())))
            assert not found, f"{path.relative_to(ROOT)}: {found}"


def private_names(tree: ast.AST) -> Iterator[str]:
    """Names of torch and Pyro that begin with an underscore, in imports and in use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("torch", "pyro"):
            parts = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            yield from (part for part in parts if part.startswith("_"))
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            root: ast.expr = node.value
            own = isinstance(root, ast.Name) and root.id in ("self", "cls")
            while isinstance(root, ast.Attribute):
                root = root.value
            of_theirs = isinstance(root, ast.Name) and root.id in ("torch", "pyro")
            if of_theirs or (node.attr in MEMBERS and not own):
                yield node.attr


def test_private_names_are_found() -> None:
    text = "from torch._ops import A; from pyro.nn.module import _Context; torch.utils._pytree.f; fn._mask; self._mask"
    assert sorted(private_names(ast.parse(text))) == ["_Context", "_mask", "_ops", "_pytree"]
