"""Reference numbers by SciPy: one-dimensional integrals in place of closed forms, other closed forms in place of it."""

import math
from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from elbowroom.reference import posteriordb, problem, ragged, student
from elbowroom.reference.algebra import scattered
from elbowroom.reference.offsets import forty_modes, twenty_modes, two_modes


def integral(f: Callable[[float], float], low: float, high: float, pieces: int = 20) -> float:
    """By adaptive quadrature on equal pieces."""
    edges = np.linspace(low, high, pieces + 1)
    return float(sum(integrate.quad(f, a, b, epsabs=0, epsrel=1e-10)[0] for a, b in pairwise(edges)))


# Many modes ----------------------------------------------------------------------------------------------------------

OFFSETS = {
    "mog-40": forty_modes(),
    **{f"two-modes-{dim}-{which}": two_modes(dim) for dim in (2, 4, 10) for which in ("small", "large")},
    **{f"twenty-modes-{dim}": twenty_modes(dim) for dim in (2, 4, 10)},
}


@pytest.mark.parametrize("name", OFFSETS)
def test_offsets_by_one_integral_for_each_coordinate(name: str) -> None:
    """Given k the coordinates are independent: Π_d ∫ N(z; 0, s²) N(x_d; z + a_kd, σ²) dz by the trapezoidal rule."""
    reference, made = problem(name), OFFSETS[name]
    z, step = np.linspace(-8 * made.spread, 8 * made.spread, 2001, retstep=True)
    prior = stats.norm.pdf(z, scale=made.spread) * step
    x = reference.args[0].numpy()[:, None, :, None]  # [B, 1, D, 1]
    likelihood = stats.norm.pdf(x, z + made.offsets.numpy()[..., None], made.noise)  # [B, K, D, Z]
    mass = (prior * likelihood).sum(-1)
    share = made.weights.numpy() * mass.prod(-1)  # [B, K]
    np.testing.assert_allclose(reference.log_evidence, np.log(share.sum(-1)), rtol=0, atol=1e-9)
    share = (share / share.sum(-1, keepdims=True))[..., None]
    first, second = ((prior * likelihood * z**n).sum(-1) / mass for n in (1, 2))
    mean = (share * first).sum(1)
    np.testing.assert_allclose(reference.mean, mean, rtol=0, atol=1e-8)
    np.testing.assert_allclose(reference.sd, np.sqrt((share * second).sum(1) - mean**2), rtol=0, atol=1e-7)


@pytest.mark.parametrize("dim", [2, 4, 10])
def test_two_modes_are_those_of_the_stated_weights(dim: int) -> None:
    """At x = 0: log p(x) = D log N(3; 0, 2² + ½²), and the means of the modes are 3 · 4 / 4.25 from zero."""
    reference = problem(f"two-modes-{dim}-small")
    assert reference.log_evidence[0].item() == pytest.approx(dim * stats.norm.logpdf(3, scale=math.sqrt(4.25)))
    assert reference.mean[0].tolist() == pytest.approx([0.8 * 3 * 4 / 4.25] * dim)


@pytest.mark.parametrize("pairs", [2, 3])
def test_products_by_the_density_of_a_product(pairs: int) -> None:
    """a b has density K₀(|t|) / π, so p(x_i) = ∫ K₀(|t|) / π N(x_i; t, 0.3²) dt; E a² on a lattice."""

    def density(t: float) -> float:
        return special.k0(abs(t)) / math.pi * stats.norm.pdf(2.0, t, 0.3)

    one = integral(density, -6, 0) + integral(density, 0, 6)
    reference = problem(f"product-{pairs}")
    assert reference.log_evidence.item() == pytest.approx(pairs * math.log(one), abs=1e-8)
    a, b = np.meshgrid(np.linspace(-9, 9, 1801), np.linspace(-9, 9, 1801))
    weight = np.exp(-0.5 * (a**2 + b**2) - 0.5 * ((2 - a * b) / 0.3) ** 2)
    sd = math.sqrt((weight * a**2).sum() / weight.sum())
    assert reference.sd[0].tolist() == pytest.approx([sd] * 2 * pairs, abs=1e-7)


def test_the_program_of_a_product_at_some_points() -> None:
    target = problem("product-2").target()
    a, b = scattered(5, 1, 2), scattered(5, 1, 2, phase=1.0)
    joint = sum(target.log_joint({"a": a, "b": b}))[:, 0]
    expected = stats.norm.logpdf(a).sum(-1) + stats.norm.logpdf(b).sum(-1) + stats.norm.logpdf(2, a * b, 0.3).sum(-1)
    np.testing.assert_allclose(joint, expected[:, 0], rtol=1e-12)


@pytest.mark.parametrize("name", ["label-switching", "label-switching-enumerated"])
def test_label_switching_on_a_grid(name: str) -> None:
    reference = problem(name)
    grid = np.linspace(-6, 6, 1201)
    y = reference.args[0].numpy()
    each = stats.norm.pdf(y, grid[:, None], 0.7)  # [Z, n]
    joint = np.log((each[:, None] + each[None]) / 2).sum(-1)
    joint += stats.norm.logpdf(grid, scale=3)[:, None] + stats.norm.logpdf(grid, scale=3)
    weight = np.exp(joint)
    assert reference.log_evidence.item() == pytest.approx(math.log(weight.sum() * 0.01**2), abs=1e-9)
    share = weight.sum(1) / weight.sum()
    mean = (share * grid).sum()
    assert reference.mean[0].tolist() == pytest.approx([mean] * 2, abs=1e-9)
    assert reference.sd[0].tolist() == pytest.approx([math.sqrt((share * grid**2).sum() - mean**2)] * 2, abs=1e-9)


# Heavy tails and constrained latents ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", student.PROBLEMS)
def test_student_by_one_integral_for_each_coordinate(name: str) -> None:
    """The coordinates are independent: ∫ p(z) p(x_d | z) z^n dz by the trapezoidal rule."""
    reference = problem(name)
    _, heavy, freedom, _ = name.split("-")
    z, step = np.linspace(-40, 40, 8001, retstep=True)
    x = reference.args[0][:2].numpy()[..., None]  # [B, D, 1]
    if heavy == "prior":
        density = step * stats.t.pdf(z, float(freedom)) * stats.norm.pdf(x, z)
    else:
        density = step * stats.norm.pdf(z, scale=2.0) * stats.t.pdf(x - z, float(freedom))
    mass, first, second = ((density * z**n).sum(-1) for n in (0, 1, 2))
    mean = first / mass
    np.testing.assert_allclose(reference.mean[:2], mean, rtol=0, atol=1e-7)
    np.testing.assert_allclose(reference.sd[:2], np.sqrt(second / mass - mean**2), rtol=0, atol=1e-7)
    np.testing.assert_allclose(reference.log_evidence[:2], np.log(mass).sum(-1), rtol=0, atol=1e-9)


def test_conjugate_pairs_by_scipy() -> None:
    """Evidence by SciPy's compound distributions, moments by its distributions of the latent."""
    gamma, beta, dirichlet = problem("gamma-poisson"), problem("beta-binomial"), problem("dirichlet-multinomial")
    counts, wins, kinds = (r.args[0].numpy() for r in (gamma, beta, dirichlet))
    np.testing.assert_allclose(gamma.log_evidence, stats.nbinom.logpmf(counts, 2.0, 0.5 / 1.5), rtol=1e-10)
    np.testing.assert_allclose(beta.log_evidence, stats.betabinom.logpmf(wins, 20, 1.5, 2.5), rtol=1e-10)
    alpha = np.array([0.8, 1.5, 2.0, 3.0])
    expected = [stats.dirichlet_multinomial.logpmf(row.astype(int), alpha, 12) for row in kinds]
    np.testing.assert_allclose(dirichlet.log_evidence, expected, rtol=1e-10)
    latents = (
        (gamma, stats.gamma(2 + counts, scale=1 / 1.5)),
        (beta, stats.beta(1.5 + wins, 2.5 + 20 - wins)),
    )
    for reference, latent in latents:
        np.testing.assert_allclose(reference.mean[:, 0], latent.mean(), rtol=1e-12)
        np.testing.assert_allclose(reference.sd[:, 0], latent.std(), rtol=1e-12)
    for b, row in enumerate(kinds):
        np.testing.assert_allclose(dirichlet.mean[b], stats.dirichlet.mean(alpha + row), rtol=1e-12)
        np.testing.assert_allclose(dirichlet.sd[b] ** 2, stats.dirichlet.var(alpha + row), rtol=1e-12)
    other = problem("gamma-poisson-log-normal")
    assert torch.equal(other.log_evidence, gamma.log_evidence) and torch.equal(other.sd, gamma.sd)


# Hidden states -------------------------------------------------------------------------------------------------------


def test_the_ragged_hmm_by_a_sum_over_paths() -> None:
    """Given its path a sequence is N(a[path], 1 1ᵀ + 0.8² I): a sum over 2^length of them, none for absent steps."""
    reference = problem("ragged-hmm")
    y, lengths = (a.numpy() for a in reference.args)
    transition, shift = ragged.TRANSITION.numpy(), ragged.SHIFT.numpy()
    for b, size in enumerate(lengths):
        marginal = np.ones((size, size)) + 0.8**2 * np.eye(size)
        gain = np.linalg.solve(marginal, np.ones(size))
        weights, means = [], []
        for path in product((0, 1), repeat=int(size)):
            prior = math.prod(transition[a, c] for a, c in zip((0, *path[:-1]), path, strict=True))
            rest = y[b, :size] - shift[list(path)]
            weights.append(prior * stats.multivariate_normal.pdf(rest, cov=marginal))
            means.append(gain @ rest)
        total = sum(weights)
        share, at = np.array(weights) / total, np.array(means)
        assert reference.log_evidence[b].item() == pytest.approx(math.log(total), abs=1e-9)
        mean = (share * at).sum()
        assert reference.mean[b, 0].item() == pytest.approx(mean, abs=1e-9)
        variance = 1 - gain.sum() + (share * at**2).sum() - mean**2
        assert reference.sd[b, 0].item() == pytest.approx(math.sqrt(variance), abs=1e-9)


def test_partly_observed_labels_by_the_trapezoidal_rule() -> None:
    reference = problem("partly-observed-labels")
    weights, locs, scales = (a.numpy() for a in (ragged.WEIGHTS, ragged.LOCS, ragged.SCALES))
    x, label, known = (a.numpy() for a in reference.args)
    z, step = np.linspace(-12, 14, 5201, retstep=True)
    for b in range(len(x)):
        kinds = [label[b]] if known[b] else [0, 1, 2]
        prior = sum(weights[k] * stats.norm.pdf(z, locs[k], scales[k]) for k in kinds)
        density = step * prior * stats.norm.pdf(x[b], z)
        mass, first, second = (float((density * z**n).sum()) for n in (0, 1, 2))
        assert reference.log_evidence[b].item() == pytest.approx(math.log(mass), abs=1e-8)
        assert reference.mean[b, 0].item() == pytest.approx(first / mass, abs=1e-7)
        assert reference.sd[b, 0].item() == pytest.approx(math.sqrt(second / mass - (first / mass) ** 2), abs=1e-7)


# posteriordb ---------------------------------------------------------------------------------------------------------

PUBLISHED = {  # means of 10 000 reference draws with their Monte Carlo errors, our σ first
    "sblri": (
        (0.962632527, 0.999466136, 1.000228592, 1.000422611, 1.001147529, 1.001562541),
        (7.1e-4, 9.9e-6, 1.2e-5, 9.7e-6, 1.1e-5, 1.1e-5),
    ),
    "ark": (
        (0.150566659, -0.000718650, 0.692163280, 0.439043080, 0.105816025, -0.035435038, -0.301512066),
        (8.0e-5, 1.1e-4, 7.3e-4, 9.1e-4, 9.3e-4, 8.6e-4, 7.0e-4),
    ),
    "gp-regr": ((6.874348178, 2.442399840, 1.828731066), (0.0128, 0.0078, 0.0051)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_means_of_posteriordb(name: str) -> None:
    mean, error = (np.array(row) for row in PUBLISHED[name])
    assert np.abs((problem(name).mean[0].numpy() - mean) / error).max() < 4


SCALES = {"sblri": (stats.halfnorm(scale=10), 0.95), "ark": (stats.halfcauchy(scale=2.5), 0.15)}
"""Prior of σ, and where its posterior is."""


@pytest.mark.parametrize("name", SCALES)
def test_regressions_by_adaptive_quadrature(name: str) -> None:
    """σ by QUADPACK; β by Bayes' rule at its posterior mean: p(y | σ) = p(y | β, σ) p(β) / p(β | y, σ)."""
    reference, (prior, at) = problem(name), SCALES[name]
    target = reference.target()
    size = len(target.latent_names) - 1
    matrix, b = {"sblri": posteriordb.SBLRI, "ark": posteriordb.ARK}[name].matrix.numpy(), reference.args[0].numpy()

    def log_given(sigma: float) -> float:
        precision = matrix.T @ matrix / sigma**2 + np.eye(size) / 100
        beta = np.linalg.solve(precision, matrix.T @ b) / sigma**2
        z = {"sigma": torch.full((1, 1), sigma), "beta": torch.from_numpy(beta).reshape(1, 1, size)}
        joint = sum(term.item() for term in target.log_joint(z)) - prior.logpdf(sigma)
        return joint - stats.multivariate_normal.logpdf(beta, beta, np.linalg.inv(precision))

    peak = log_given(at)
    mass = integral(lambda s: math.exp(log_given(s) - peak) * prior.pdf(s), at / 2, at * 2, 6)
    assert reference.log_evidence.item() == pytest.approx(peak + math.log(mass), abs=1e-6)


def test_the_gaussian_process_on_another_lattice() -> None:
    """A trapezoidal rule in the logarithms of all three, with the density of the program itself."""
    reference = problem("gp-regr")
    target = reference.target()
    axes = [
        torch.linspace(math.log(low), math.log(high), n)
        for low, high, n in ((1.5, 20.0, 28), (2e-4, 14.0, 60), (0.05, 8.0, 40))
    ]
    points = torch.cartesian_prod(*axes)
    z = {name: points[:, i : i + 1].exp() for i, name in enumerate(("rho", "alpha", "sigma"))}
    joint = sum(target.log_joint(z))[:, 0] + points.sum(-1)
    cell = math.prod((axis[1] - axis[0]).item() for axis in axes)
    assert reference.log_evidence.item() == pytest.approx(joint.logsumexp(0).item() + math.log(cell), abs=1e-6)
