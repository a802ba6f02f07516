"""Diagnostics of many data at once against ArviZ, which takes them one by one."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from elbowroom.inference.mcmc import convergence as diagnostics
from elbowroom.inference.mcmc.convergence import Gates, convergence, ebfmi
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.effective_size import effective_sample_size
from toys import arviz_oracle
from toys.counted import Counted
from toys.draws import on_grid


def autoregressive(shape: tuple[int, ...], correlation: float) -> Tensor:
    """Stationary AR(1) chains along dim 1."""
    noise = torch.randn(shape)
    z = [noise[:, 0]]
    for t in range(1, shape[1]):
        z.append(correlation * z[-1] + math.sqrt(1 - correlation**2) * noise[:, t])
    return torch.stack(z, 1)


def with_repeats(z: Tensor) -> Tensor:
    """Every third transition rejected: ties."""
    z = z.clone()
    z[:, 1::3] = z[:, 0 : z.shape[1] - 1 : 3]
    return z


def one_value(z: Tensor, where: tuple[int, ...], value: float) -> Tensor:
    z = z.clone()
    z[where] = value
    return z


CASES = {
    "independent": lambda: torch.randn(4, 200, 3, 2),
    "autoregressive": lambda: autoregressive((4, 400, 3, 2), 0.9),
    "slow": lambda: autoregressive((3, 150, 3, 1), 0.995),
    "antithetic": lambda: autoregressive((4, 300, 3, 2), -0.7),
    "odd": lambda: autoregressive((5, 151, 2, 1), 0.5),
    "odd halves": lambda: autoregressive((2, 102, 2, 1), 0.5),
    "four draws": lambda: torch.randn(4, 4, 6, 1),
    "five to eleven draws": lambda: torch.randn(3, 5, 6, 1),
    "eleven draws": lambda: torch.randn(2, 11, 20, 1),
    "twelve draws": lambda: torch.randn(2, 12, 20, 1),
    "three draws": lambda: torch.randn(4, 3, 2, 1),
    "one chain": lambda: torch.randn(1, 100, 2, 1),
    "constant": lambda: torch.ones(4, 100, 2, 1),
    "one constant chain": lambda: torch.cat([torch.ones(1, 100, 2, 1), torch.randn(3, 100, 2, 1)]),
    "ties": lambda: with_repeats(torch.randn(4, 201, 3, 2)),
    "few values": lambda: torch.randint(0, 4, (4, 100, 3, 2)).double(),
    "two values": lambda: torch.randint(0, 2, (4, 100, 3, 2)).double(),
    "two values as often": lambda: torch.stack([torch.randperm(400) % 2 for _ in range(3)], 1).reshape(4, 100, 3, 1),
    "apart": lambda: torch.randn(4, 100, 2, 1) + torch.tensor([0.0, 0.0, 0.0, 5.0]).reshape(4, 1, 1, 1),
    "NaN": lambda: one_value(torch.randn(4, 100, 2, 2), (1, 5, 0, 1), math.nan),
    "infinite": lambda: one_value(torch.randn(4, 100, 2, 2), (1, 5, 0, 1), math.inf),
    "heavy tails": lambda: torch.randn(4, 100, 3, 2) / torch.randn(4, 100, 3, 2).abs() ** 3,
    "far from zero": lambda: 1e3 + 0.1 * torch.randn(4, 100, 3, 2),
    "single precision": lambda: torch.randn(4, 100, 3, 2).float(),
}


def by_arviz(z: Tensor) -> dict[str, np.ndarray]:
    """Each diagnostic as ArviZ has it, `[B, N]`."""
    array = z.double().numpy()

    def each(function: Callable[..., float], *how: str) -> np.ndarray:
        with arviz_oracle.quietly():
            rows = [[function(array[..., b, n], *how) for n in range(z.shape[3])] for b in range(z.shape[2])]
        return np.array(rows, dtype=float)

    mean, sd = each(arviz_oracle.ess, "mean"), each(arviz_oracle.ess, "sd")
    return {
        "rhat": each(arviz_oracle.rhat),
        "ess_bulk": each(arviz_oracle.ess, "bulk"),
        "ess_tail": each(arviz_oracle.ess, "tail"),
        "ess_moments": np.minimum(mean, sd),
        "mcse_mean": each(arviz_oracle.mcse, "mean"),
        "mcse_sd": each(arviz_oracle.mcse, "sd"),
    }


@pytest.mark.parametrize("case", CASES)
def test_diagnostics_are_those_of_arviz(case: str) -> None:
    """Of draws on a grid: ArviZ's distances to the median have no rounding there, which would break a tie in them."""
    z = on_grid(CASES[case]())
    found, expected = convergence(z, torch.zeros(z.shape[:3], dtype=torch.bool)), by_arviz(z)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-10, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(
        torch.minimum(effective_sample_size(z), effective_sample_size((z - z.double().mean((0, 1))) ** 2)),
        expected["ess_moments"],
        rtol=1e-10,
    )


def test_rounding_does_not_move_rhat() -> None:
    """Of 160 draws the two nearest to the median are equally far from it, whatever their distances are rounded to."""
    z = torch.randn(4, 40, 50, 1)
    diverging = torch.zeros(4, 40, 50, dtype=torch.bool)
    shaken = z * (1 + 1e-13 * torch.randn(z.shape))
    torch.testing.assert_close(convergence(shaken, diverging).rhat, convergence(z, diverging).rhat, rtol=1e-9, atol=0)


def test_chains_that_never_leave_different_points_disagree() -> None:
    z = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 50, 1, 1)
    found = convergence(z, torch.zeros(4, 50, 1, dtype=torch.bool))
    assert found.rhat.item() > 1e6 and "the chains disagree" in found.flags[0]


def test_an_antithetic_chain_flatters_the_mean_but_not_the_moments() -> None:
    z = autoregressive((4, 1000, 1, 1), -0.9)
    found = convergence(z, torch.zeros(4, 1000, 1, dtype=torch.bool))
    assert effective_sample_size(z).item() > 3 * 4000
    assert found.ess_moments.item() < 4000 / 4  # of squares, whose correlation is 0.81: (1 − 0.81) / (1 + 0.81)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    z, energy = autoregressive((4, 60, 23, 2), 0.3), torch.randn(4, 60, 23)
    diverging = torch.zeros(4, 60, 23, dtype=torch.bool)
    diverging[1, 2, 20] = True
    whole = convergence(z, diverging, energy=energy)
    monkeypatch.setattr(diagnostics, "CHUNK_BYTES", 5 * 4 * 60 * 2 * 8)
    chunked = convergence(z, diverging, energy=energy)
    for name in ("rhat", "ess_bulk", "ess_tail", "ess_moments", "mcse_mean", "mcse_sd", "ebfmi", "divergences"):
        torch.testing.assert_close(getattr(chunked, name), getattr(whole, name), rtol=1e-12, atol=0)
    assert chunked.flags == whole.flags and [bool(f) for f in whole.flags].count(False) == 0
    alone = convergence(z[:, :, 20:21], diverging[:, :, 20:21], energy=energy[:, :, 20:21])
    assert alone.flags[0] == whole.flags[20] and "1 divergent transitions" in alone.flags[0]


def test_ebfmi_is_that_of_arviz_and_its_gate_refuses() -> None:
    energy = torch.stack([torch.randn(4, 300), autoregressive((4, 300), 0.99)], 2)  # [C, T, B]
    expected = np.stack([arviz_oracle.bfmi(energy[..., b].numpy()) for b in range(2)], 1)
    np.testing.assert_allclose(ebfmi(energy), expected, rtol=1e-12)
    z, quiet = torch.randn(4, 300, 2, 1), torch.zeros(4, 300, 2, dtype=torch.bool)
    found = convergence(z, quiet, Gates(ess_per_chain=10, rhat=1.1), energy=energy)
    assert found.ebfmi is not None
    np.testing.assert_allclose(found.ebfmi, expected.min(0), rtol=1e-12)
    assert found.flags[0] == "" and re.fullmatch(r"E-BFMI 0\.0\d < 0\.2: momenta .*", found.flags[1])
    assert convergence(z, quiet, Gates(ess_per_chain=10, rhat=1.1)).ebfmi is None
    stuck = convergence(z, quiet, Gates(ess_per_chain=10, rhat=1.1), energy=torch.ones(4, 300, 2))
    assert all("E-BFMI is undefined" in flag for flag in stuck.flags)
    assert bool(ebfmi(energy[:, :1]).isnan().all())


def test_bad_shapes_are_named() -> None:
    z, diverging = torch.randn(4, 10, 3, 1), torch.zeros(4, 10, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"z must be \[chains, draws, data, latents\], got shape \(4, 10, 3\)"):
        convergence(z[..., 0], diverging)
    with pytest.raises(ValueError, match=r"diverging has shape \(4, 10, 2\), expected .* \(4, 10, 3\)"):
        convergence(z, diverging[..., :2])
    with pytest.raises(ValueError, match="energy has shape"):
        convergence(z, diverging, energy=z)
    with pytest.raises(ValueError, match=r"draws must be \[chains, draws"):
        effective_sample_size(z[0, :, 0, 0])


def test_selected_draws_are_those_of_their_data() -> None:
    z = {"w": torch.randn(4, 50, 5), "v": torch.randn(4, 50, 5, 2)}
    stats = {"diverging": torch.zeros(4, 50, 5, dtype=torch.bool), "energy": torch.randn(4, 50, 5)}
    draws = Draws(z, ["w", "v[0]", "v[1]"], stats, {"num_evaluations": torch.arange(5), "seconds": 1.0})
    some = draws.select([3, 1])
    assert len(some) == 2 and some.info["num_evaluations"].tolist() == [3, 1] and some.info["seconds"] == 1.0
    torch.testing.assert_close(some.flat, draws.flat[:, :, [3, 1]], rtol=0, atol=0)
    assert some.flags == (draws.flags[3], draws.flags[1])
    assert some.convergence.ebfmi is not None and draws.convergence.ebfmi is not None
    torch.testing.assert_close(some.convergence.ebfmi, draws.convergence.ebfmi[[3, 1]])


def test_more_data_are_no_more_operations() -> None:
    """No loop over data: benchmarks/diagnostics_arviz.py has the seconds."""
    counts = []
    for num_data in (10, 40):
        with Counted() as counted:
            diagnostics._diagnose(torch.randn(4, 50, num_data, 2))
        counts.append(counted.operations)
    assert counts[0] == counts[1]


def test_flags_tell_which_scalar_is_worst_and_of_steps_that_had_to_be_small() -> None:
    z, quiet = torch.randn(4, 400, 2, 3), torch.zeros(4, 400, 2, dtype=torch.bool)
    z[0, :, 0, 1] += 3.0
    names, step = ("a", "b", "c"), torch.tensor([0.1, 0.1]).expand(4, 400, 2)
    found = convergence(z, quiet, names=names, step_size=step)
    assert re.match(r"R-hat of b [\d.]+ > 1.01: the chains disagree; effective sample size of b", found.flags[0])
    assert "steps had to be 0.1 of a standard deviation" in found.flags[0] and "non-centred" in found.flags[0]
    assert found.flags[1] == ""  # small steps alone are no fault
    assert "steps" not in convergence(z, quiet, names=names, step_size=2 * step).flags[0]
