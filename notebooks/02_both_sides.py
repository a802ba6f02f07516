# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is importance sampling low, and by how much?
#
# "We report log-likelihoods with 5000 importance samples": that number is a *lower bound in expectation*,
# and it comes from the same $q$ whose quality is in question. Where $q$ is poor the bound is low, and its
# own error bar cannot say so: it has never seen the part of the posterior that is missing.
#
# With more than a few latents there is no lattice to ask. But one can look from the other side: let Markov chains find
# the posterior of every datum, fit a proposal to *them*, and bound $\log p(x)$ from below and from above.

# %%
import matplotlib.pyplot as plt
import torch

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, anneal, bracket, fit, hmc, importance
from elbowroom.models import VAE
from elbowroom.report import look, training_table
from figures import show

# %% [markdown]
# ## 1 A VAE with eight latents

# %%
data = load("digits", binarize="threshold")
torch.manual_seed(0)
model = VAE(64, 8, (64, 64), activation="softplus")
guide = AmortizedNormal(64, 8, (128, 128), activation="softplus")
fitted = fit(
    model,
    guide,
    data.train,
    validation=data.validation,
    num_epochs=300,
    learning_rate=3e-3,
    schedule="cosine",
    progress=False,
)
print(training_table(fitted.history, num_rows=4))
target = Target(model.eval(), guide.eval(), data.test[:100])

# %% [markdown]
# ## 2 The usual answer

# %%
sampled = importance(target, num_samples=5000)
value, error = sampled.mean()
elbo = sampled.info["elbo"].mean()
flagged = [b for b, flag in enumerate(sampled.flags) if flag]
assert elbo < value, "more samples cannot loosen the bound"
print(f"ELBO {elbo:.3f}, importance sampling {value:.3f} ± {error:.3f} nats; {len(flagged)} of {len(sampled)} flagged")

# %% [markdown]
# ## 3 From both sides
#
# `bracket` first does the same, then runs chains on every digit at once, weighs a mixture that was fitted to them, asks
# bridge sampling for a third opinion, and anneals in both directions where the interval is still wide.

# %%
found = bracket(target, budget=120)
print(found.table(most=5))
room = found.lower.mean()[0] - elbo
missed = found.lower.mean()[0] - value
print(f"\nThe ELBO is {room:.2f} nats below log p(x); importance sampling with 5000 draws is {missed:.3f} nats below.")
assert found.settled.float().mean() > 0.8, "the bracket has not settled: the comparison would mean little"

# %% [markdown]
# Which digits are responsible? Those whose weights have a heavy tail: $\hat k$ says beforehand where
# importance sampling will be low, and the bracket confirms it afterwards.

# %%
figure, axis = plt.subplots(figsize=(6.4, 4.0))
k = sampled.info["pareto_k"].clamp(min=-0.2)
short = found.lower.value - sampled.value
error = 2 * torch.hypot(found.lower.stderr, sampled.stderr)
axis.errorbar(k, short, error, **look("sampled", linestyle="", markersize=3), elinewidth=0.8)
axis.axhline(0, color="0.5", lw=0.8)
axis.axvline(0.7, color="0.2", lw=0.8, ls="--")
axis.annotate("k̂ = 0.7", (0.7, axis.get_ylim()[1]), textcoords="offset points", xytext=(4, -12))
axis.set(xlabel="Pareto k̂ of the guide's weights", ylabel="bracket − importance sampling, nats")
axis.set_title("How low importance sampling is, digit by digit (±2 standard errors)", loc="left", fontsize=10)
show(
    figure,
    """A dot for each digit: how far importance sampling is below the bracket, against Pareto's k-hat of its weights.
    Dots lie at 0 for small k-hat, and above 0 for some beyond the dashed line at 0.7.""",
)
heavy = k > 0.7
low_heavy, low_others = short[heavy].mean(), short[~heavy].mean()
print(f"{int(heavy.sum())} digits beyond 0.7 are {low_heavy:.2f} nats low, the others {low_others:.3f}")
assert low_heavy > low_others, "a heavy tail did not mean a low value here"
assert abs(low_others) < 0.05, "importance sampling should be right where k̂ is low"

# %% [markdown]
# ## 4 The parts by themselves
#
# The chains: every digit has its own step sizes, metric and gates. `ess_moments` is the smaller effective
# sample size of $z$ and of $(z - \bar z)^2$.

# %%
draws = hmc(target, num_draws=500)
said = draws.convergence
print(f"{draws.info['seconds']:.1f} s; largest R-hat {said.rhat.max():.3f}, smallest ESS {said.ess_moments.min():.0f}")
assert said.rhat.max() < 1.1, "some chains disagree"
print(f"{sum(map(bool, draws.flags))} of {len(draws)} digits do not pass their gates")

# %% [markdown]
# Annealing from the guide is a lower bound too; its kernels were frozen before its chains began. It closes most of the
# distance without any draws of the posterior.

# %%
annealed = anneal(target, num_steps=50, num_chains=16)
low, low_error = annealed.mean()
print(f"AIS from the guide, 50 temperatures: {low:.3f} ± {low_error:.3f}; bracket {found.lower.mean()[0]:.3f}")
assert abs(low - found.lower.mean()[0]) < 0.1, "annealing and the bracket should agree"
