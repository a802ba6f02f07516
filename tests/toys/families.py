"""Every family of `pyro.distributions`: an instance for parameters t of any batch shape, in (0, 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.testing.rejection_gamma import RejectionGamma
from torch import Tensor


@dataclass(frozen=True)
class Family:
    """How a family is made, and what becomes of it.

    Attributes:
        make: t `[*batch]` to a distribution whose draws depend on t where the family has parameters for it.
        refused: why it cannot be drawn, a pattern of the message; empty if it can.
        single: has no batch, and Pyro can put it in no plate: drawn as the only datum.
    """

    make: Callable[[Tensor], Any]
    refused: str = ""
    single: bool = False


def _times(t: Tensor, *factors: float) -> Tensor:
    return t.unsqueeze(-1) * torch.tensor(factors).to(t)


def _rates(t: Tensor) -> Tensor:
    return _times(t, 1.0, 2.0, 3.0) + 0.2


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


def _covariance(t: Tensor) -> Tensor:
    return torch.eye(2) + t[..., None, None] * (torch.ones(2, 2) + torch.eye(2))


def _normal(*shape: int) -> Any:
    return dist.Normal(torch.zeros(*shape), 1.0).to_event(1)


def _gaussian(dim: int = 1) -> Any:
    return dist.MultivariateNormal(_zeros(dim), torch.eye(dim))


def _hidden_states(t: Tensor) -> Any:
    return dist.GaussianHMM(
        dist.Normal(t.unsqueeze(-1), 1.0).to_event(1), torch.eye(1), _normal(1), torch.eye(1), _normal(1), duration=3
    )


_REJECTION, _NO_SAMPLER = "by rejection", "has a density, but no sampler"

FAMILIES: dict[str, Family] = {
    "AVFMultivariateNormal": Family(
        lambda t: dist.AVFMultivariateNormal(_times(t, 1, 2), torch.eye(2), torch.ones(2, 1, 2)), single=True
    ),
    "AffineBeta": Family(lambda t: dist.AffineBeta(t + 1, t + 2, t, t + 1)),
    "AsymmetricLaplace": Family(lambda t: dist.AsymmetricLaplace(t, t + 1, t + 0.5)),
    "Bernoulli": Family(dist.Bernoulli),
    "Beta": Family(lambda t: dist.Beta(t + 0.5, 1.5)),
    "BetaBinomial": Family(lambda t: dist.BetaBinomial(t + 1, 2.0, 5)),
    "Binomial": Family(lambda t: dist.Binomial(6, t)),
    "Categorical": Family(lambda t: dist.Categorical(_rates(t))),
    "Cauchy": Family(lambda t: dist.Cauchy(t, t)),
    "Chi2": Family(lambda t: dist.Chi2(t + 1)),
    "CoalescentTimes": Family(lambda t: dist.CoalescentTimes(torch.tensor([0.0, 0.1, 0.2]), t), "at a time"),
    "CoalescentTimesWithRate": Family(
        lambda t: dist.CoalescentTimesWithRate(torch.tensor([0.0, 0.1, 0.2]), _rates(t)), _NO_SAMPLER
    ),
    "ContinuousBernoulli": Family(dist.ContinuousBernoulli),
    "Delta": Family(dist.Delta),
    "Dirichlet": Family(lambda t: dist.Dirichlet(_rates(t))),
    "DirichletMultinomial": Family(lambda t: dist.DirichletMultinomial(_rates(t), total_count=7)),
    "DiscreteHMM": Family(
        lambda t: dist.DiscreteHMM(
            _times(t, 1.0, 0.2),
            torch.tensor([[0.5, 0.1], [0.2, 0.3]]),
            dist.Normal(_times(t, -1, 1).unsqueeze(-2), 0.5),
            duration=3,
        )
    ),
    "Exponential": Family(dist.Exponential),
    "ExtendedBetaBinomial": Family(lambda t: dist.ExtendedBetaBinomial(t + 1, 2.0, torch.tensor(5.0))),
    "ExtendedBinomial": Family(lambda t: dist.ExtendedBinomial(torch.tensor(6.0), t)),
    "FoldedDistribution": Family(lambda t: dist.FoldedDistribution(dist.Normal(t, 1.0))),
    "FisherSnedecor": Family(lambda t: dist.FisherSnedecor(t + 3, t + 5)),
    "Gamma": Family(lambda t: dist.Gamma(t + 0.1, t)),
    "GammaGaussianHMM": Family(
        lambda t: dist.GammaGaussianHMM(
            dist.Gamma(t + 3, t + 3), _gaussian(), torch.eye(1), _gaussian(), torch.eye(1), _gaussian(), duration=3
        ),
        _NO_SAMPLER,
    ),
    "GammaPoisson": Family(lambda t: dist.GammaPoisson(t + 1, t + 0.5)),
    "GaussianHMM": Family(_hidden_states),
    "GaussianMRF": Family(
        lambda t: dist.GaussianMRF(dist.MultivariateNormal(t.unsqueeze(-1), torch.eye(1)), _gaussian(2), _gaussian(2)),
        _NO_SAMPLER,
    ),
    "GaussianScaleMixture": Family(
        lambda t: dist.GaussianScaleMixture(torch.ones(2), _zeros(3), torch.tensor([1.0, 2.0, 3.0]))
    ),
    "GeneralizedPareto": Family(lambda t: dist.GeneralizedPareto(t, t + 1, torch.tensor(0.2))),
    "Geometric": Family(dist.Geometric),
    "GroupedNormalNormal": Family(
        lambda t: dist.GroupedNormalNormal(t.reshape(-1), t.reshape(-1) + 1, torch.tensor(0.5), torch.tensor([0, 0])),
        _NO_SAMPLER,
        single=True,
    ),
    "Gumbel": Family(lambda t: dist.Gumbel(t, t + 0.5)),
    "HalfCauchy": Family(dist.HalfCauchy),
    "HalfNormal": Family(dist.HalfNormal),
    "ImproperUniform": Family(
        lambda t: dist.ImproperUniform(dist.constraints.real, t.shape, ()), "not support sampling"
    ),
    "IndependentHMM": Family(lambda t: dist.IndependentHMM(_hidden_states(t.unsqueeze(-1) * torch.ones(2)))),
    "InverseGamma": Family(lambda t: dist.InverseGamma(t + 2, t)),
    "Kumaraswamy": Family(lambda t: dist.Kumaraswamy(t + 1, t + 2)),
    "LKJ": Family(lambda t: dist.LKJ(3, t + 1)),
    "LKJCholesky": Family(lambda t: dist.LKJCholesky(3, t + 1)),
    "LKJCorrCholesky": Family(lambda t: dist.LKJCorrCholesky(3, t + 1)),
    "Laplace": Family(lambda t: dist.Laplace(t, t)),
    "LinearHMM": Family(
        lambda t: dist.LinearHMM(
            dist.Laplace(t.unsqueeze(-1), 1.0).to_event(1),
            torch.eye(1),
            _normal(1),
            torch.eye(1),
            _normal(1),
            duration=3,
        )
    ),
    "LogNormal": Family(lambda t: dist.LogNormal(t, t)),
    "LogNormalNegativeBinomial": Family(lambda t: dist.LogNormalNegativeBinomial(5.0, t, t), _NO_SAMPLER),
    "Logistic": Family(lambda t: dist.Logistic(t, t)),
    "LogisticNormal": Family(lambda t: dist.LogisticNormal(_times(t, 1, 2), torch.ones(2))),
    "LowRankMultivariateNormal": Family(
        lambda t: dist.LowRankMultivariateNormal(_times(t, 1, 2), _times(t, 1.0, 0.5).unsqueeze(-1), torch.ones(2))
    ),
    "MaskedMixture": Family(lambda t: dist.MaskedMixture(t > 0.3, dist.Normal(t, 1.0), dist.Normal(-t, 0.2))),
    "MixtureOfDiagNormals": Family(
        lambda t: dist.MixtureOfDiagNormals(
            _times(t, 1, -1, 2).unsqueeze(-1) * torch.ones(2), torch.ones(3, 2) * t[..., None, None], _times(t, 1, 2, 3)
        )
    ),
    "MixtureOfDiagNormalsSharedCovariance": Family(
        lambda t: dist.MixtureOfDiagNormalsSharedCovariance(
            _times(t, 1, -1, 2).unsqueeze(-1) * torch.ones(2), torch.ones(2) * t[..., None], _times(t, 1, 2, 3)
        )
    ),
    "MixtureSameFamily": Family(
        lambda t: dist.MixtureSameFamily(dist.Categorical(_times(t, 1, 2)), dist.Normal(_times(t, -2, 2), 0.3))
    ),
    "Multinomial": Family(lambda t: dist.Multinomial(7, _rates(t))),
    "MultivariateNormal": Family(lambda t: dist.MultivariateNormal(_times(t, 1, 2), _covariance(t))),
    "MultivariateStudentT": Family(
        lambda t: dist.MultivariateStudentT(t + 3, _times(t, 1, 2), torch.linalg.cholesky(_covariance(t)))
    ),
    "NanMaskedMultivariateNormal": Family(lambda t: dist.NanMaskedMultivariateNormal(_times(t, 1, 2), _covariance(t))),
    "NanMaskedNormal": Family(lambda t: dist.NanMaskedNormal(t, 1.0)),
    "NegativeBinomial": Family(lambda t: dist.NegativeBinomial(4.0, t * 0.8)),
    "Normal": Family(lambda t: dist.Normal(t, t)),
    "OMTMultivariateNormal": Family(lambda t: dist.OMTMultivariateNormal(_times(t, 1, 2), torch.eye(2)), single=True),
    "OneHotCategorical": Family(lambda t: dist.OneHotCategorical(_rates(t))),
    "OneHotCategoricalStraightThrough": Family(lambda t: dist.OneHotCategoricalStraightThrough(_rates(t))),
    "OneOneMatching": Family(lambda t: dist.OneOneMatching(torch.arange(9.0).reshape(3, 3).sin())),
    "OneTwoMatching": Family(lambda t: dist.OneTwoMatching(torch.arange(8.0).reshape(4, 2).sin())),
    "OrderedLogistic": Family(lambda t: dist.OrderedLogistic(t, torch.tensor([-0.5, 0.5]))),
    "Pareto": Family(lambda t: dist.Pareto(t, t + 3)),
    "Poisson": Family(lambda t: dist.Poisson(3 * t)),
    "ProjectedNormal": Family(lambda t: dist.ProjectedNormal(_times(t, 1, 2))),
    "Rejector": Family(lambda t: RejectionGamma(t + 1, t), _REJECTION),
    "RelaxedBernoulli": Family(lambda t: dist.RelaxedBernoulli(torch.tensor(0.5), t)),
    "RelaxedBernoulliStraightThrough": Family(lambda t: dist.RelaxedBernoulliStraightThrough(torch.tensor(0.5), t)),
    "RelaxedOneHotCategorical": Family(lambda t: dist.RelaxedOneHotCategorical(torch.tensor(0.5), _rates(t))),
    "RelaxedOneHotCategoricalStraightThrough": Family(
        lambda t: dist.RelaxedOneHotCategoricalStraightThrough(torch.tensor(0.5), _rates(t))
    ),
    "SineBivariateVonMises": Family(lambda t: dist.SineBivariateVonMises(t, t, t + 1, t + 1, 0.1 * t), _REJECTION),
    "SineSkewed": Family(
        lambda t: dist.SineSkewed(
            dist.VonMises(_times(t, 1, 2), 1.0).to_event(1), torch.tensor([0.2, 0.3]).expand(*t.shape, 2)
        ),
        _REJECTION,
    ),
    "SkewLogistic": Family(lambda t: dist.SkewLogistic(t, t + 0.5, t + 0.7)),
    "SoftAsymmetricLaplace": Family(lambda t: dist.SoftAsymmetricLaplace(t, t + 1)),
    "SoftLaplace": Family(lambda t: dist.SoftLaplace(t, t + 1)),
    "SpanningTree": Family(lambda t: dist.SpanningTree(torch.arange(6.0).sin()), single=True),
    "Stable": Family(lambda t: dist.Stable(t + 0.7, t)),
    "StableWithLogProb": Family(lambda t: dist.StableWithLogProb(t + 0.7, t)),
    "StudentT": Family(lambda t: dist.StudentT(t + 2, t, t)),
    "TruncatedPolyaGamma": Family(dist.TruncatedPolyaGamma),
    "Uniform": Family(lambda t: dist.Uniform(t, t + 1)),
    "VonMises": Family(lambda t: dist.VonMises(t, t + 1), _REJECTION),
    "VonMises3D": Family(lambda t: dist.VonMises3D(_times(t, 1, 2, 2)), _NO_SAMPLER),
    "Weibull": Family(lambda t: dist.Weibull(t + 1, t + 0.5)),
    "Wishart": Family(lambda t: dist.Wishart(t + 4, _covariance(t))),
    "ZeroInflatedDistribution": Family(lambda t: dist.ZeroInflatedDistribution(dist.Poisson(3 * t), gate=t)),
    "ZeroInflatedNegativeBinomial": Family(lambda t: dist.ZeroInflatedNegativeBinomial(4.0, probs=0.8 * t, gate=t)),
    "ZeroInflatedPoisson": Family(lambda t: dist.ZeroInflatedPoisson(3 * t, gate=t)),
}
"""By the name of the class in `pyro.distributions`."""

COMPOSED: dict[str, Family] = {
    "Categorical, an event": Family(lambda t: dist.Categorical(_rates(_times(t, 1.0, 0.5))).to_event(1)),
    "OneHotCategorical, an event of two dims": Family(
        lambda t: dist.OneHotCategorical(_rates(_times(t, 1.0, 0.5).unsqueeze(-1) * torch.ones(3))).to_event(2)
    ),
    "Multinomial, an event": Family(lambda t: dist.Multinomial(3, _rates(_times(t, 1.0, 0.5))).to_event(1)),
    "AsymmetricLaplace, an event": Family(lambda t: dist.AsymmetricLaplace(_times(t, 1, 2), 1.0, 2.0).to_event(1)),
    "a sigmoid of a Normal, moved": Family(
        lambda t: dist.TransformedDistribution(
            dist.Normal(t, 1.0), [dist.transforms.SigmoidTransform(), dist.transforms.AffineTransform(1.0, 2.0)]
        )
    ),
    "masked": Family(lambda t: dist.Normal(t, 1.0).mask(t > 0.3)),
    "a mixture of VonMises": Family(
        lambda t: dist.MixtureSameFamily(dist.Categorical(_times(t, 1, 2)), dist.VonMises(_times(t, -2, 2), 3.0)),
        _REJECTION,
    ),
    "a mask between VonMises and Normal": Family(
        lambda t: dist.MaskedMixture(t > 0.3, dist.VonMises(t, 1.0), dist.Normal(t, 1.0)), _REJECTION
    ),
}
"""Families inside wrappers, and mixtures of families."""

WRAPPERS = {
    "Distribution", "ExpandedDistribution", "ExponentialFamily", "Independent", "MaskedDistribution",
    "TorchDistribution", "TransformedDistribution", "Unit", "Empirical",
}  # fmt: skip
"""Classes that are no family of their own: bases and wrappers; Unit draws nothing, Empirical has no density."""
