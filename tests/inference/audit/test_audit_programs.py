"""Audits of programs of every kind: global latents, a hierarchy, discrete latents, float32, what cannot be audited."""

import math
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Audit, Gates, ProgramError, audit, audit_target, decompose
from elbowroom.inference.audit import examination
from elbowroom.reference import problem
from toys.audit import GENEROUS, Line, one_block, untraced


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "NUM_DRAWS", 100)
    monkeypatch.setattr(examination, "NUM_WARMUP", 50)
    monkeypatch.setattr(examination, "decompose", partial(decompose, families=["mean-field"]))


def check(audit: Audit) -> None:
    """What holds of every audit."""
    for finding in audit.findings:
        assert set(finding.numbers) <= set(audit.numbers), finding
    for name, number in audit.numbers.items():
        assert number.value != number.value or number.low <= number.value <= number.high, name
    assert untraced(audit) == []
    for part, why in audit.skipped.items():
        assert why and f"Not examined: {part} ({why})." in audit.verdict
    assert audit.table().startswith(audit.verdict)


def test_one_call_on_programs() -> None:
    """`audit` is `audit_target` of the programs, and leaves torch's generator alone."""
    line = Line(0.8)
    x = line.target(3).args[0]
    before = torch.get_rng_state()
    options: dict[str, Any] = {"budget": "5e4 evaluations", "num_simulations": 30, "seed": 5}
    found = audit(line.model, line.guide, x, **options)
    assert torch.equal(before, torch.get_rng_state())
    wanted = audit_target(line.target(3), **options)
    assert found.numbers == wanted.numbers and found.findings == wanted.findings
    assert found.x is not None and torch.equal(found.x, x) and len(found) == 3
    assert found.provenance["seed"] == 5 and found.provenance["latents"] == "z [1]"


@pytest.mark.slow
def test_results_do_not_depend_on_the_order_of_the_data() -> None:
    line = Line(0.7)
    x = line.target(5).args[0]
    one = audit(line.model, line.guide, x, budget=GENEROUS, num_simulations=30)
    other = audit(line.model, line.guide, x.flip(0), budget=GENEROUS, num_simulations=30)
    assert one.decomposition is not None and other.decomposition is not None
    place = {4 - row: i for i, row in enumerate(other.rows["decomposition"])}
    order = [place[row] for row in one.rows["decomposition"]]
    for name in ("elbo", "amortization", "approximation"):
        mine, theirs = getattr(one.decomposition, name).value, getattr(other.decomposition, name).value[order]
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def test_global_latents() -> None:
    """`plate=None`: the whole program is one datum; what needs many data is skipped with its reason."""
    y = torch.tensor([0.8, 1.9, 3.3, 3.9])

    def model(y: Tensor) -> None:
        slope = pyro.sample("slope", dist.Normal(0.0, 2.0))
        sigma = pyro.sample("sigma", dist.LogNormal(-1.0, 0.5))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Normal(slope * torch.arange(4.0), sigma), obs=y)

    def guide(y: Tensor) -> None:
        pyro.sample("slope", dist.Normal(1.3, 0.3))
        pyro.sample("sigma", dist.LogNormal(-0.8, 0.3))

    found = audit(model, guide, y, plate=None, budget=GENEROUS)
    check(found)
    assert found.num_data == 1 and found.rows["decomposition"] == (0,) == found.rows["random"]
    assert set(found.skipped) == {"use of the latents", "calibration"}
    assert "plate is None" in found.skipped["calibration"]
    assert "1 usable datum says" in found.skipped["use of the latents"]
    assert found.numbers["gap"].low > 0 and math.isfinite(found.numbers["gap"].high)


@pytest.mark.slow
def test_a_hierarchy_of_two_sites() -> None:
    """Two sites, labels as a second argument, a keyword that has no row for each datum."""
    x, y = torch.randn(5, 3), torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])

    def model(x: Tensor, y: Tensor, *, scale: float) -> None:
        with pyro.plate("data", len(x)):
            z1 = pyro.sample("z1", dist.Normal(y, 1.0))
            z2 = pyro.sample("z2", dist.Normal(z1.unsqueeze(-1) * torch.ones(2), scale).to_event(1))
            pyro.sample("x", dist.Normal(torch.cat([z2, z1.unsqueeze(-1)], -1), 1.0).to_event(1), obs=x)

    def guide(x: Tensor, y: Tensor, *, scale: float) -> None:
        with pyro.plate("data", len(x)):
            z1 = pyro.sample("z1", dist.Normal(x[..., 2] + y, 0.5))
            pyro.sample("z2", dist.Normal(x[..., :2] - z1.unsqueeze(-1), scale).to_event(1))

    found = audit(model, guide, x, y, budget=GENEROUS, num_simulations=30, scale=0.6)
    check(found)
    assert found.agreement is not None and found.agreement.latents == ("z1", "z2[0]", "z2[1]")
    assert found.portrait is not None and found.portrait.guide.shape[1:] == (5, 3) and len(found.rows["random"]) == 5
    assert found.numbers["gap"].value > 0.5
    doubt, in_short = found.findings[:2]  # this q has its means from the wrong numbers
    assert doubt.tone == "bad" and "The mean of q is" in doubt.sentence
    assert in_short.tone == "warning" and in_short.sentence.startswith("In short: use q with care")


@pytest.mark.slow
def test_discrete_latents_of_the_guide_are_weighed_only() -> None:
    """Chains, lattices and local fits need coordinates; values without end cannot be summed: the site is named."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            count = pyro.sample("count", dist.Poisson(0.3))
            pyro.sample("x", dist.Normal(2 * count, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("count", dist.Poisson(x.exp()))

    found = audit(model, guide, torch.randn(5), budget=GENEROUS, num_simulations=30)
    check(found)
    assert found.decomposition is None and "'count'" in found.skipped["examination"]
    assert found.numbers["gap_from_below"].high == float("inf")


def test_no_continuous_latent_at_all() -> None:
    """Everything is summed out: log p(x) is exact and there is nothing to examine, which is said."""
    found = audit_target(problem("mixture-discrete").target(), budget=GENEROUS)
    check(found)
    assert found.numbers["settled"].value == 1 and found.decomposition is None
    assert set(found.skipped) == {"use of the latents", "calibration", "examination"}
    assert "no continuous latent" in found.skipped["examination"]


@pytest.mark.slow
def test_one_number_a_datum() -> None:
    """Data `[B]`, without an event: the smallest model that there is."""
    found = audit_target(problem("conjugate-normal-0.7").target(), budget=GENEROUS, num_simulations=30)
    check(found)
    assert found.latent_use is not None and found.latent_use.sigma["value"] == 1.0


@pytest.mark.slow
def test_single_precision() -> None:
    torch.set_default_dtype(torch.float32)
    line = Line(0.7)
    target = line.target(4)
    assert target.dtype == torch.float32
    found = audit_target(target, budget=GENEROUS, num_simulations=30)
    check(found)
    assert found.provenance["dtype"] == "float32" and found.skipped.keys() == {"use of the latents"}
    assert found.numbers["gap"].value == pytest.approx(line.gap, abs=1e-3)


def test_an_improper_prior_is_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.ImproperUniform(dist.constraints.real, x.shape[:1], ()))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x, 1.0))

    with pytest.raises(ValueError, match="improper"):
        audit(model, guide, torch.zeros(3), budget=GENEROUS)


@pytest.mark.slow
def test_a_guide_whose_density_at_a_point_is_unknown() -> None:
    """Its own draws tell the room; what asks for log q at other points says that it cannot, or goes without."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            noise = pyro.sample("noise", dist.Normal(x, 1.0).to_event(1), infer={"is_auxiliary": True})
            z = x / 2 + (noise - x) * 0.5
            log_density = -math.log(0.5) * torch.ones(())
            pyro.sample("z", dist.Delta(z, log_density, event_dim=1))

    line = Line()
    found = audit(line.model, guide, line.target(4).args[0], budget=GENEROUS, num_simulations=30)
    check(found)
    wanted = math.log(math.sqrt(0.5) / 0.5) + (0.25 / 0.5 - 1) / 2  # KL of sd 0.5 to the posterior's √0.5
    if "gap" in found.numbers:
        assert found.numbers["gap"].value == pytest.approx(wanted, abs=0.02)
    assert {"settled", "k_hat_too_high"} <= set(found.numbers)


@pytest.mark.slow
def test_a_part_that_these_programs_do_not_allow_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a part says against it is told; the other parts answer."""

    def refuses(told: Exception) -> Callable[..., Any]:
        def run(*given: Any, **options: Any) -> Any:
            raise told

        return run

    parts = import_module("elbowroom.inference.audit.audit")
    monkeypatch.setattr(parts, "calibrate", refuses(NotImplementedError("the density is not known")))
    monkeypatch.setattr(parts, "latent_use", refuses(ProgramError("no such site")))
    found = audit_target(Line(0.8).target(9), budget=GENEROUS)
    check(found)
    assert found.skipped == {"calibration": "the density is not known", "use of the latents": "no such site"}
    assert found.numbers["gap"].value == pytest.approx(Line(0.8).gap, abs=1e-3)
    monkeypatch.setattr(examination, "hmc", refuses(ValueError("no chains")))
    monkeypatch.setattr(parts, "calibrate", refuses(RuntimeError("a defect")))
    found = None
    with pytest.raises(RuntimeError, match="a defect"):
        audit_target(Line(0.8).target(9), budget=GENEROUS)


def test_without_an_examination_the_verdict_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **options: Any) -> Any:
        raise ValueError("no chains")

    monkeypatch.setattr(examination, "hmc", refuse)
    found = audit_target(Line(0.8).target(3), budget=GENEROUS, num_simulations=30)
    check(found)
    assert found.skipped["examination"] == "no chains" and found.rows == {}
    assert found.numbers["gap"].value == pytest.approx(Line(0.8).gap, abs=0.01)  # a lattice knows log p(x) of all
    assert "what q may be used for was not examined" in found.findings[0].sentence
    assert found.table().rstrip() == found.verdict


@pytest.mark.slow
def test_chains_that_do_not_converge_are_no_ground_for_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exact guide whose posterior cannot be sampled: nothing is said of its uses, and that is said."""
    monkeypatch.setattr(examination, "GATES", Gates(rhat=0.5))
    found = audit_target(Line().target(3), budget=GENEROUS, num_simulations=30)
    check(found)
    assert found.numbers["unconverged"].value == 1 and not any(name.startswith("use_") for name in found.numbers)
    first = found.findings[0]
    assert first.tone == "warning" and first.numbers == ("unconverged",) and "can be trusted" not in found.verdict


@pytest.mark.slow
def test_the_table_of_chosen_data() -> None:
    with one_block():
        found = audit_target(Line(0.6).target(20), budget=GENEROUS, num_simulations=30)
    rows = found.table([2, 3]).splitlines()[-2:]
    assert [row.split()[0] for row in rows] == ["2", "3"]
    assert len(found.table(most=1).splitlines()) == len(found.verdict.splitlines()) + 3
    absent = min(set(range(20)) - set(found.rows["decomposition"]))
    with pytest.raises(ValueError, match=rf"data: .{absent}. .* were not examined; choose among \["):
        found.table([2, absent])
