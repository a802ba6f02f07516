"""A density as files: read back it is the same to the last bit, and what is damaged is refused with the file's name."""

import json
from pathlib import Path

import pytest
import torch

from elbowroom.densities import DENSITIES, load_density, make_density, save_density
from elbowroom.inference.saving.seal import sealed

X = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", DENSITIES)
def test_read_back_it_is_the_same_to_the_last_bit(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    options = dict(DENSITIES[name].tiny)
    density = make_density(name, 4, seed=3, **options).to(dtype)
    density.fit(X, num_epochs=2, seed=1)
    save_density(density, tmp_path / "new" / "folder", name, options)
    again = load_density(tmp_path / "new" / "folder")
    assert not again.training and type(again) is type(density)
    before, after = density.state_dict(), again.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert next(again.parameters()).dtype == dtype
    assert torch.equal(density.log_prob(X).value, again.log_prob(X).value)
    assert torch.equal(density.sample(5), again.sample(5))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_density(make_density("made", 4, hidden=(3,)), tmp_path, "made", {"hidden": (3,)})
    return tmp_path


def test_what_is_damaged_is_refused_by_its_file(saved: Path) -> None:
    described, content = (saved / "density.json").read_text(), (saved / "density.safetensors").read_bytes()

    def refused(told: str, **changed: object) -> None:
        """With a digest that fits; without one nothing is believed."""
        other = {k: v for k, v in {**json.loads(described), **changed}.items() if k != "digest"}
        (saved / "density.json").write_text(json.dumps(sealed(other)))
        with pytest.raises(ValueError, match=told):
            load_density(saved)
        (saved / "density.json").write_text(json.dumps({**json.loads(described), **changed}))
        with pytest.raises(ValueError, match=r"density.json: it was altered|density.json is damaged"):
            load_density(saved)

    refused(r"density.json is of format 3, this version reads 2", format=3)
    refused(r"density.json is of format 1, this version reads 2", format=1)
    refused(r"density.json is damaged or of another version: .*got density 'madam', expected one", density="madam")
    refused(r"density.json is damaged or of another version: .*widths", options={"widths": [3]})
    refused(r"(?s)density.safetensors does not fit .*density.json: .*size mismatch", options={"hidden": [4]})
    refused(r"density.json is damaged: TypeError", options=None)
    (saved / "density.json").write_text(described)
    for damaged in (content[:-1], bytes([content[0] ^ 1]) + content[1:], b""):
        (saved / "density.safetensors").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"density.safetensors is damaged, or not of .*: its sha256 differs"):
            load_density(saved)
    (saved / "density.json").write_text(described[:-9])
    with pytest.raises(ValueError, match=r"density.json: it is not JSON"):
        load_density(saved)


def test_more_than_is_stored_is_not_built(saved: Path) -> None:
    described = json.loads((saved / "density.json").read_text())
    described = {**described, "options": {"hidden": [10**6, 10**6]}}
    (saved / "density.json").write_text(json.dumps(sealed({k: v for k, v in described.items() if k != "digest"})))
    with pytest.raises(ValueError, match=r"density.json is of a density that is larger than what .*safetensors holds"):
        load_density(saved)


def test_a_density_of_before_there_was_a_digest_is_told(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    described = json.loads((saved / "density.json").read_text())
    old = {k: v for k, v in described.items() if k != "digest"} | {"format": 1}
    (saved / "density.json").write_text(json.dumps(old))
    assert load_density(saved).data_dim == 4
    assert "has no digest: whether it was changed since is not known" in caplog.text


def test_where_there_is_none_the_missing_file_is_named(saved: Path) -> None:
    (saved / "density.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"it has no density.safetensors; save_density writes one"):
        load_density(saved)
    with pytest.raises(FileNotFoundError, match=r"it has no density.json"):
        load_density(saved / "elsewhere")
