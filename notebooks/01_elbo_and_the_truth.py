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
# # How far is the ELBO from the truth?
#
# You have trained a variational autoencoder and report its ELBO. Is that nearly the model's log-likelihood,
# or far below it? For which data? And may $q(z|x)$ stand in for the posterior?
#
# One identity holds both questions together. For every datum $x$,
#
# $$\log p(x) \;=\; \underbrace{\mathbb E_{q(z|x)}\big[\log p(x, z) - \log q(z|x)\big]}_{\text{ELBO}(x)}
#   \;+\; \underbrace{\mathrm{KL}\big(q(z|x)\,\|\,p(z|x)\big)}_{\text{the room above it}\ \ge\ 0}.$$
#
# The room between the ELBO and $\log p(x)$ *is* the distance from $q$ to the posterior. With two latents
# all three terms can be computed, each by a method of its own. So we train a small VAE on handwritten
# digits and look.

# %%
from itertools import pairwise

import torch

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, check_program, compare, fit, importance, quadrature
from elbowroom.models import VAE
from elbowroom.report import (
    bounds_table,
    comparison_table,
    gap_figure,
    loss_figure,
    posterior_figure,
    reconstruction_figure,
    training_table,
    with_error,
)
from figures import show

# %% [markdown]
# ## 1 The model, the guide and the data
#
# The model is $z \sim \mathcal N(0, I_2)$, $x_p | z \sim \text{Bernoulli}(\cdot)$ with a neural network in
# between; the guide is $q(z|x) = \mathcal N(m(x), \mathrm{diag}\, s(x)^2)$, one network for all digits.
# Both are Pyro programs. `check_program` runs them once and shows the shapes: every site must be inside the
# plate `data`, so that each number below belongs to one digit.

# %%
data = load("digits", binarize="threshold")
torch.manual_seed(0)
model = VAE(64, 2, (64, 64), activation="softplus")
guide = AmortizedNormal(64, 2, (128, 128), activation="softplus")
print(check_program(model, guide, data.train))

# %% [markdown]
# Training maximises the mean ELBO of the training digits (Pyro's `SVI` with `Trace_ELBO`; some ten
# seconds).

# %%
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
print(training_table(fitted.history, num_rows=6))
assert fitted.history[-1]["elbo"] > -21.5, "training has not worked: nothing below would mean much"

# %%
show(loss_figure(fitted.history), "The ELBO of training and validation digits against epochs: it rises and levels off.")

# %% [markdown]
# Two numbers a digit are little: the model keeps what most digits have in common.

# %%
with torch.no_grad():
    means = model.decode(guide.encode(data.test[:12]).mean).mean
show(
    reconstruction_figure(data.test[:12], means, data.image_shape),
    "Twelve test digits above, below what the model makes of their two numbers: the common shape of each, smoother.",
)

# %% [markdown]
# ## 2 What does the model believe about a digit?
#
# The posterior is $p(z|x) = p(x, z) / p(x)$. On a plane the numerator can be evaluated on a lattice fine
# enough for its sum to be the integral $p(x)$: `quadrature`, exact to 1e-6 nats. Here it is for three
# held-out digits (grey), with $q$ (lines) on top. $q$ is a Gaussian with axes along $z_0$ and $z_1$;
# wherever the grey region is tilted, bent or in pieces, no amount of training makes such a $q$ equal to it.

# %%
target = Target(model, guide, data.test)
few = compare(target, [0, 1, 2], mcmc=False, seed=1)
show(
    posterior_figure(target, few, images=data.test[few.data], image_shape=data.image_shape),
    """Three digits, and the plane of the two latents for each: the exact posterior as grey regions, q as ellipses whose
    axes are upright. Where the grey is tilted, bent or in pieces, the ellipses cannot follow.""",
)

# %% [markdown]
# ## 3 How much room is there?
#
# With $K$ draws from $q$ and weights $w_k = p(x, z_k) / q(z_k|x)$,
#
# $$\text{ELBO} = \mathbb E \log w_1 \;\le\; \text{IWAE-}K = \mathbb E \log \tfrac1K \textstyle\sum_k w_k
#   \;\le\; \log p(x),$$
#
# and the bound closes as $K$ grows. Importance sampling is the same with $K = 5000$. All means are over the
# 360 held-out digits, in nats per digit; the error says how far the *computation* may be off.

# %%
sampled = importance(target, num_samples=5000, seed=1, num_particles=[5, 50, 500])
exact = quadrature(target)
print(bounds_table(sampled, exact))

# %% [markdown]
# Left below: the room above each bound, a dot for each digit (dots left of 0 are noise: a bound holds in
# expectation). Right: where importance sampling ends up, in its own standard errors from the truth. Digits
# below the grey band are the ones to worry about: there the estimate is too low and its error bar does not
# say so.

# %%
show(
    gap_figure(sampled, exact),
    """Left, a dot for each digit: how far the ELBO, IWAE bounds and importance sampling are below log p(x); the more
    samples, the nearer to 0. Right: importance sampling in its own standard errors, a few digits far below.""",
)

# %% [markdown]
# The order of the bounds is no accident of these digits. The estimates use the same draws, groups of 5
# inside groups of 50 inside groups of 500, so by Jensen's inequality they are ordered *for each digit*,
# noise and all. That the last of them stays below $\log p(x)$ is true in expectation only.

# %%
bounds = [sampled.info["elbo"], *(sampled.info["iwae"][k] for k in (5, 50, 500)), sampled.value]
for lower, upper in pairwise(bounds):
    assert bool((lower <= upper + 1e-9).all()) and lower.mean() < upper.mean()

short = (exact.value - sampled.value).mean().item()
error = sampled.mean()[1]
assert short > -4 * error
print(f"log p(x) − importance sampling: {with_error(short, error)} nats, mean of {len(target)} digits")

# %% [markdown]
# **Can its error bar be trusted?** For most digits. Pareto's $\hat k$ reads from the largest weights how
# heavy their tail is; above 0.7 neither estimate nor error bar can be trusted. But it can only read the
# weights there are: of a part of the posterior that no draw of $q$ has visited, a second mode or a far
# tail, there is no weight, and neither the error bar nor $\hat k$ can know of it.

# %%
sigmas = (sampled.value - exact.value) / sampled.stderr
off = (sigmas.abs() > 4).nonzero().flatten().tolist()
print(f"Within 4 standard errors of the truth: {len(target) - len(off)} of {len(target)} digits. The others:")
for b in off:
    print(
        f"  digit {b:3d}: {sampled.value[b] - exact.value[b]:+.2f} nats ({sigmas[b]:+.1f} standard errors), "
        f"{int(exact.info['num_modes'][b])} mode(s), k̂ = {sampled.info['pareto_k'][b]:.2f}"
    )
assert len(off) <= 0.03 * len(target)

# %% [markdown]
# ## 4 Does log p(x) = ELBO + KL hold?
#
# It must; so it checks three computations at once. Each term by its own method: $\log p(x)$ by importance
# sampling, the ELBO by Monte Carlo with other random numbers, the KL by quadrature. The difference of the
# two sides, divided by its standard error, should look like a standard normal variable, but for the digits
# found above.

# %%
other = importance(target, num_samples=2000, seed=2)
room = exact.info["kl_q_p"]
residual = sampled.value - (other.info["elbo"] + room)
sigmas = residual / (sampled.stderr**2 + other.info["elbo_stderr"] ** 2).sqrt()
inside = {s: (sigmas.abs() <= s).double().mean().item() for s in (1, 2, 4)}
print(f"Median difference of the sides: {residual.median():+.4f} nats, {sigmas.median():+.2f} standard errors.")
print(", ".join(f"within {s}: {share:.1%}" for s, share in inside.items()), "(normal: 68.3 %, 95.4 %, 100.0 %)")
assert bool((room > -1e-6).all()), "KL is never negative"
assert inside[4] >= 0.97 and inside[2] > 0.85

# %% [markdown]
# ## 5 Is q the posterior? Ask NUTS, for a typical digit and the worst
#
# Two digits: a typical one (one mode, room at the median) and the one with the most room. NUTS knows
# nothing of $q$ and nothing of the lattice. It is run on each digit by itself, and may call itself a
# reference only if its chains agree ($\hat R \le 1.01$), are long enough (effective sample size at least
# 100 a chain) and nothing diverged.

# %%
order = room.argsort()
num_modes = exact.info["num_modes"].tolist()
typical = min((b for b in order.tolist() if num_modes[b] == 1), key=lambda b: abs(float(room[b] - room.median())))
worst = int(order[-1])
comparison = compare(target, [typical, worst], num_chains=4, num_warmup=200, num_draws=500, seed=3)
show(
    posterior_figure(target, comparison, images=data.test[comparison.data], image_shape=data.image_shape),
    """A typical digit and the worst: exact posteriors in grey, q as ellipses, draws of NUTS as dots. The dots fill the
    typical digit's grey region; of the worst one q covers a part.""",
)

# %%
print(comparison_table(comparison))

# %% [markdown]
# What to see: for the typical digit the dots fill the grey region, and $q$ covers what one upright Gaussian
# can. In the table of the posteriors, `W₁` says how far each method's marginals are from the exact ones,
# and `noise` how far so many perfect draws would be: NUTS should be at its noise, $q$ is not.
#
# For the worst digit, see where $q$ sits if the posterior is in pieces, and which pieces have no dots.
# Chains in different pieces disagree, and the gates close; chains that all stay in the same one agree with
# each other, and pass. **A passed gate is not a proof**; with the exact posterior beside it you can see
# which of the two happened here.

# %%
truth = comparison.evidence["quadrature"].info
nuts_off = ((comparison.draws.mean - truth["mean"]) / comparison.draws.convergence.mcse_mean).abs().amax(1)
q_off = ((truth["guide_mean"] - truth["mean"]) / truth["sd"]).abs().amax(1)
for b, flag in enumerate(comparison.draws.flags):
    print(f"digit {comparison.data[b]}, {num_modes[comparison.data[b]]} mode(s): NUTS", flag or "passed its gates")
    print(f"  mean of NUTS at most {nuts_off[b]:.1f} of its Monte Carlo errors from the exact one,")
    print(f"  mean of q at most {q_off[b]:.2f} posterior standard deviations from it")
assert nuts_off[0] < 5, "one mode: NUTS must find the exact mean"

# %% [markdown]
# The chains are [ArviZ](https://python.arviz.org)'s to look at as well. `to_arviz` gives an object with
# ArviZ's groups (`InferenceData` in ArviZ 0.23, a `DataTree` from 1.0 on): a variable for each latent site,
# `datum` as a coordinate, and $\log p(x)$ with errors and flags in a group of its own beside them. What
# ArviZ says of a digit is what the gates went by.

# %%
both = comparison.to_arviz(observed=data.test[comparison.data])

import arviz as az  # noqa: E402 (its import takes seconds: here, where it is needed)

table = az.summary(both, kind="diagnostics", round_to="none")
print(table[["r_hat", "ess_bulk", "mcse_mean"]].to_string(float_format="{:.4f}".format))
for b in comparison.data:
    names = ("importance", "importance_stderr", "exact")
    value, error, exactly = (float(both.log_evidence[name].sel(datum=b)) for name in names)
    flag = both.log_evidence["flag"].sel(datum=b).item()
    print(f"digit {b}: log p(x) = {with_error(value, error)} nats by importance sampling ({flag or 'no flag'}),")
    print(f"  {exactly:.3f} exactly")
rhat = comparison.draws.convergence.rhat.flatten()
assert abs(torch.tensor(table["r_hat"].to_numpy()) / rhat - 1).max() < 1e-3, "draws are in single precision"

# %%
import matplotlib.pyplot as plt  # noqa: E402 (after ArviZ, which sets it up)

az.plot_forest(both, combined=False)
show(
    plt.gcf(), "Intervals of both latents of both digits, a line for each chain: lines of one latent agree, or do not."
)

# %% [markdown]
# ## 6 What to take home

# %%
spread = (room.std() / len(room) ** 0.5).item()
widest = order[-len(order) // 20 :]
print(f"The ELBO is {with_error(room.mean().item(), spread)} nats per digit below log p(x) (±: from digit to digit).")
print(f"The twentieth of the digits with most room holds {room[widest].sum() / room.sum():.0%} of all room,")
print(
    f"and one digit alone has {room.max():.2f} nats, while {int((room < 0.1).sum())} of {len(room)} have less than 0.1."
)

# %% [markdown]
# - The ELBO is not the log-likelihood, and the room is not the same for all data. Two models whose ELBOs
#   differ by less than their rooms may be ranked wrongly by them.
# - IWAE and importance sampling close the room at the price of more evaluations, except for data whose
#   posterior has a part that $q$ does not reach. $\hat k$ finds heavy tails that were touched; what was
#   never visited it cannot find.
# - Whether $q$ may stand in for the posterior is a question to ask of each datum: the room answers it in
#   nats.
#
# For your own programs it is the same four lines: `Target(model, guide, x)`, then `importance`,
# `quadrature` and `compare`. Above three latents quadrature refuses, and NUTS, where it passes its gates,
# is the reference.
