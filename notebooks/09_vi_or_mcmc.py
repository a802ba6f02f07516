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
# # How much does MCMC cost, and what does it buy?
#
# It is often said that Markov chain Monte Carlo is too slow for large data sets and for latents of many dimensions, so
# that variational inference is what is left. Slow against what, and for which error? An encoder answers for a new
# datum in a millionth of a second, and its error stays what it is however long one waits. Chains take longer, and
# their error falls with every draw. So the comparison is a plane: seconds one way, error the other. And there are two
# bills: what is paid once (training the encoder), and what is paid for each datum (chains).
#
# To know the error one must know the posterior. First a model in which it is known in closed form at any dimension;
# then digits, whose posterior is not Gaussian, with two latents and a lattice.

# %%
import time
from collections import defaultdict
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from claims import record
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal, SemiAmortized
from elbowroom.inference import Target, bridge, decompose, fit, hmc, importance, nuts, quadrature
from elbowroom.models import PPCA, VAE
from elbowroom.report import look
from figures import name_line, show

WIDTH, DIMENSIONS, SEEDS = 100, (2, 10, 50), (0, 1, 2)
SOME = {2: 20, 10: 20, 50: 5}  # data that chains are run on, by dimension
torch.set_num_threads(1)


def timed(call):
    """What a call returns, and the processor's seconds that it took: those of one thread, whatever else runs."""
    began = time.process_time()
    found = call()
    return found, time.process_time() - began


# %% [markdown]
# ## 1 A posterior that is known: x = W z + ε
#
# $x$ has 100 values, $z$ has 2, 10 or 50, $W$ is drawn anew for each of three seeds, the noise has σ = 1. The
# posterior of each datum is a Gaussian with one covariance for all. The encoder is linear with a scale of its own
# for each latent: it can have the right means, and as a diagonal Gaussian it cannot have the covariance. It is trained
# on 2000 data that the model makes.


# %%
def made(latents, seed, num_data=3000):
    """A model, data that it makes, and the encoder trained on most of them, with the seconds that this took."""
    torch.manual_seed(seed)
    model = PPCA(WIDTH, latents, sigma=1.0)
    with torch.no_grad():
        model.loadings.copy_(0.3 * torch.randn(WIDTH, latents))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x = torch.randn(num_data, latents) @ model.loadings.T + torch.randn(num_data, WIDTH)
    guide = AmortizedNormal(WIDTH, latents, hidden=())
    settings = {"num_epochs": 30, "batch_size": 100, "learning_rate": 1e-2, "schedule": "cosine", "progress": False}
    _, seconds = timed(lambda: fit(model, guide, x[:2000], **settings))
    return model, guide.eval(), x[2000:], seconds


class Errors:
    """How far posterior means and standard deviations are off, in true standard deviations; `[B]`, over latents."""

    def __init__(self, exact_mean, exact_sd):
        self.mean, self.sd = exact_mean, exact_sd

    def of(self, mean, sd):
        off = (mean - self.mean) / self.sd
        return off.square().mean(-1).sqrt(), (sd / self.sd - 1).square().mean(-1).sqrt()


def by_weights(target, num_samples=1000):
    """Posterior means and deviations from weighted draws of the guide."""
    z, log_q = target.propose(num_samples)
    prior, likelihood = target.log_joint(z)
    weight = (prior + likelihood - log_q).softmax(0).unsqueeze(-1)
    mean = (weight * z["z"]).sum(0)
    return mean, (weight * (z["z"] - mean).square()).sum(0).sqrt()


def by_draws(draws):
    flat = draws.flat.flatten(0, 1)  # [chains * draws, B, D]
    return flat.mean(0), flat.std(0)


def by_guide(guide, x):
    q = guide.encode(x)
    return q.mean.detach(), q.variance.sqrt().detach()


def refined(target):
    """The best Gaussian that is found for each datum: means and deviations from many of its draws."""
    found = decompose(target, families=("mean-field", "full covariance")).refined.target()
    draws = found.propose(20000)[0]["z"]
    return draws.mean(0), draws.std(0)


# %% [markdown]
# ## 2 Error against seconds
#
# Six ways to the posterior means and standard deviations of the same data. The seconds are those of one datum: of
# methods that take all data at once the seconds of the call divided by their number, of NUTS, which runs one datum at a
# time, those of one chain. The encoder's training is not among them; it is the next section's.

# %%
LABELS = {  # where each name stands beside its point: dx, dy in points, and the side
    "encoder": (0, 14, "center"),
    "encoder + 20 steps": (-7, -4, "right"),
    "weighted draws": (-7, -12, "right"),
    "best Gaussian": (-7, 0, "right"),
    "HMC, 4 × 50": (0, 16, "center"),
    "HMC, 4 × 500": (6, -9, "left"),
    "NUTS, 1 × 100": (-16, -18, "left"),
}
METHODS = {
    "encoder": look("guide"),
    "encoder + 20 steps": look("bound"),
    "best Gaussian": look("other"),
    "weighted draws": look("sampled"),
    "HMC, 4 × 50": look("draws"),
    "HMC, 4 × 500": look("draws"),
    "NUTS, 1 × 100": look("data"),
}
cost, wrong_mean, wrong_sd, room, short, training = (defaultdict(list) for _ in range(6))
kept = {}
problems = {}
for latents in DIMENSIONS:
    for seed in SEEDS:
        model, guide, x, seconds = made(latents, seed)
        training[latents].append(seconds)
        few = x[: SOME[latents]]
        target = Target(model, guide, few)
        problems[latents, seed] = model, guide, x, target
        posterior, exact = model.posterior(few), model.log_prob(few)
        errors = Errors(posterior.mean, posterior.variance.sqrt())
        semi = SemiAmortized(guide, model, num_steps=20, num_samples=4 * latents)
        elbo = importance(target, num_samples=1000, search=False)
        room[latents].append((exact - elbo.info["elbo"]).mean().item())
        short[latents].append((exact - elbo.value).mean().item())
        ways = {
            "encoder": lambda g=guide, x=x, few=few: [part[: len(few)] for part in by_guide(g, x)],
            "encoder + 20 steps": lambda g=semi, few=few: by_guide(g, few),
            "weighted draws": lambda target=target: by_weights(target),
            "HMC, 4 × 50": lambda target=target, s=seed: by_draws(hmc(target, num_draws=50, seed=s)),
            "HMC, 4 × 500": lambda target=target, s=seed, d=latents: by_draws(
                kept.setdefault((d, s), hmc(target, seed=s))
            ),
        }
        if latents < 50 or seed == 0:
            ways["best Gaussian"] = lambda target=target: refined(target)
        for name, way in ways.items():
            moments, seconds = timed(way)
            mean_off, sd_off = errors.of(*moments)
            cost[name, latents].append(seconds / (len(x) if name == "encoder" else len(few)))
            wrong_mean[name, latents].append(mean_off)
            wrong_sd[name, latents].append(sd_off)
        settings = {"num_chains": 1, "num_warmup": 100, "num_draws": 100, "seed": seed}
        slow, seconds = timed(lambda target=target, settings=settings: nuts(target.select([0]), **settings))
        mean_off, sd_off = Errors(errors.mean[:1], errors.sd[:1]).of(*by_draws(slow))
        cost["NUTS, 1 × 100", latents].append(seconds)
        wrong_mean["NUTS, 1 × 100", latents].append(mean_off)
        wrong_sd["NUTS, 1 × 100", latents].append(sd_off)


def interval(parts):
    """Mean over data and seeds, and its 95 % half width, data of one seed taken to be as far apart as any."""
    values = torch.cat(parts)
    return values.mean().item(), (1.96 * values.std() / len(values) ** 0.5).item()


def middle(values):
    return sorted(values)[len(values) // 2]


for latents in DIMENSIONS:
    print(f"{latents} latents: room of the encoder {middle(room[latents]):.2f} nats, ", end="")
    print(
        f"log p(x) by 1000 weighted draws {middle(short[latents]):.2f} nats low, trained in "
        f"{middle(training[latents]):.1f} s"
    )
    for name in METHODS:
        means, sds = interval(wrong_mean[name, latents]), interval(wrong_sd[name, latents])
        seconds = 1000 * middle(cost[name, latents])
        print(f"  {name:19s} {seconds:9.3f} ms a datum; means off by {means[0]:.3f} ± {means[1]:.3f} sd, ", end="")
        print(f"sds by {100 * sds[0]:4.1f} ± {100 * sds[1]:.1f} %")

# %%
figure, axes = plt.subplots(2, 3, figsize=(10, 6), sharex=True, sharey="row")
for column, latents in enumerate(DIMENSIONS):
    for row, table in zip(axes[:, column], (wrong_mean, wrong_sd), strict=True):
        chain = ["HMC, 4 × 50", "HMC, 4 × 500"]
        row.plot(
            [middle(cost[name, latents]) for name in chain],
            [interval(table[name, latents])[0] for name in chain],
            **look("draws", marker="", linewidth=1.2),
        )
        for name, style in METHODS.items():
            value, error = interval(table[name, latents])
            row.errorbar(middle(cost[name, latents]), value, error, **{**style, "linestyle": ""}, capsize=2)
            if latents == 10 and table is wrong_mean:
                dx, dy, side = LABELS[name]
                name_line(
                    row,
                    middle(cost[name, latents]),
                    value,
                    name.replace("encoder +", "+"),
                    style,
                    dx=dx,
                    dy=dy,
                    ha=side,
                )
        row.set(xscale="log", yscale="log", xlim=(3e-9, 3000))
    axes[0, column].set_title(f"{latents} latents")
    axes[1, column].set_xlabel("seconds a datum")
axes[0, 0].set_ylabel("error of posterior means, sd")
axes[1, 0].set_ylabel("error of posterior sds, share")
show(
    figure,
    """Six panels, for 2, 10 and 50 latents: error of posterior means above and of posterior standard deviations below,
    against seconds for each datum, all axes logarithmic. The encoder is a million times faster than chains, and its
    error stays; HMC goes down as draws are added; NUTS lies to the right of HMC.""",
)

# %% [markdown]
# What is to be seen. *The means*: an encoder that can be right about them is about as good as 4 × 50 draws of
# chains, and 4 × 500 draws are better than it. *The standard deviations*: the encoder's error grows with the
# dimension and chains' does not, because no diagonal Gaussian has the posterior's covariance. *Log p(x)*: the room
# grows, and weighted draws from the encoder no longer close it. Chains' cost for each datum grows with the dimension,
# and far less than the volume does.

# %%
slope = {}
for name in ("HMC, 4 × 500", "NUTS, 1 × 100"):
    each = [torch.tensor([cost[name, d][s] for d in DIMENSIONS]).log() for s in range(len(SEEDS))]
    log_d = torch.tensor(DIMENSIONS).log()
    fits = [((log_d - log_d.mean()) * (y - y.mean())).sum() / (log_d - log_d.mean()).square().sum() for y in each]
    slope[name] = torch.stack(fits)
    print(
        f"{name}: seconds a datum grow as D to the {slope[name].mean():.2f} (seeds {min(fits):.2f} to {max(fits):.2f})"
    )
assert slope["HMC, 4 × 500"].max() < 2, "the price of a dimension is a power, not an exponential"
assert interval(wrong_mean["HMC, 4 × 500", 50])[0] < 0.05, "chains should be right in fifty dimensions"
assert interval(wrong_sd["encoder", 50])[0] > 3 * interval(wrong_sd["HMC, 4 × 500", 50])[0]
assert middle(cost["NUTS, 1 × 100", 10]) > middle(cost["HMC, 4 × 500", 10]), "one datum at a time costs more"

# %% [markdown]
# And what chains buy beyond means: `bridge` makes $\log p(x)$ of their draws.

# %%
model, guide, x, target = problems[50, 0]
bridged = bridge(target, kept[50, 0])
bridge_error = bridged.value - model.log_prob(x[: len(target)])
print(f"50 latents: bridge from HMC off by {bridge_error.abs().mean():.3f} nats on average; ", end="")
print(f"the ELBO is {middle(room[50]):.2f} low, 1000 weighted draws {middle(short[50]):.2f}")
assert bridge_error.abs().mean() < 0.1 * middle(short[50])

# %% [markdown]
# ## 3 How many data make an encoder worth its training?
#
# Chains are paid datum by datum; an encoder is paid before the first. So there is a number of data from which it is
# the cheaper one. HMC on 1, 10 and, below fifty latents, more data, for each seed; NUTS by its time for one, which is
# what a datum costs. Between the sizes measured we go along straight lines of the logarithms, beyond the last in
# proportion (with two latents 10 000 data took 11 ms each, 100 took 13: `benchmarks/vi_or_mcmc.py`).

# %%
SIZES = {2: (1, 10, 150), 10: (1, 10, 40), 50: (1, 10)}
spent, worth = defaultdict(list), defaultdict(list)
for (latents, seed), (model, guide, x, _) in problems.items():
    for size in SIZES[latents]:
        part = Target(model, guide, x[:size])
        _, seconds = timed(lambda part=part, seed=seed: hmc(part, num_draws=50, seed=seed))
        spent[latents, size].append(seconds)


def crossing(sizes, seconds, once):
    """The number of data whose chains take as long as training did."""
    for (n, a), (m, b) in pairwise(zip(sizes, seconds, strict=True)):
        if once <= a:
            return n
        if a < once <= b:
            share = torch.log(torch.tensor(once / a)) / torch.log(torch.tensor(b / a))
            return float(n * (m / n) ** share)
    return sizes[-1] * once / seconds[-1] if once > seconds[-1] else sizes[0]


for latents in DIMENSIONS:
    for seed in SEEDS:
        curve = [spent[latents, size][seed] for size in SIZES[latents]]
        worth[latents].append(crossing(SIZES[latents], curve, training[latents][seed]))
    one = middle(cost["NUTS, 1 × 100", latents])
    print(
        f"{latents:2d} latents: an encoder (trained in {middle(training[latents]):.1f} s) is cheaper than HMC from "
        f"{min(worth[latents]):.0f} to {max(worth[latents]):.0f} data on (three seeds), than NUTS from "
        f"{max(1, middle(training[latents]) / one):.1f}; it leaves means off by "
        f"{interval(wrong_mean['encoder', latents])[0]:.2f} sd, sds by "
        f"{100 * interval(wrong_sd['encoder', latents])[0]:.0f} %, {middle(room[latents]):.2f} nats of room"
    )
    assert max(worth[latents]) < 2000, "training pays off at some thousand data at the latest"

# %%
figure, axis = plt.subplots(figsize=(7.2, 4.2))
numbers = torch.tensor([1.0, 10, 100, 1000, 10000])
for latents, marker in zip(DIMENSIONS, ("^", "v", "D"), strict=True):
    sizes, curve = SIZES[latents], [middle(spent[latents, size]) for size in SIZES[latents]]
    style = look("draws", marker=marker)
    axis.plot(sizes, curve, **{**style, "linestyle": "-"})
    axis.plot([sizes[-1], 10000], [curve[-1], curve[-1] * 10000 / sizes[-1]], color=style["color"], linestyle=":")
    name_line(axis, 10000, curve[-1] * 10000 / sizes[-1], f"HMC, {latents} latents", style)
    once = middle(training[latents]) + numbers * middle(cost["encoder", latents])
    style = look("guide", marker=marker)
    axis.plot(numbers, once, **style)
    axis.plot(middle(worth[latents]), middle(training[latents]), "o", color="black", markersize=9, fillstyle="none")
name_line(axis, 10000, once[-1], "encoders, training included", style)
axis.set(xscale="log", yscale="log", xlabel="number of data", ylabel="seconds, all data together")
axis.set_title("What is paid once, and what is paid for each datum")
show(
    figure,
    """Seconds against the number of data, both logarithmic. The encoders' lines are flat at a second or so; HMC's rise
    with the number of data, the higher the more latents, and cross the encoders' at circles. Dotted: in proportion,
    beyond what was measured.""",
)

# %% [markdown]
# ## 4 A posterior that is no Gaussian: digits, two latents
#
# The same ways for a VAE trained on digits, against quadrature, which also says how many modes there are. Here the
# encoder came with the model: its training is no extra. Sixty test digits; the chains on three seeds.

# %%
digits = load("digits", binarize="threshold")
torch.manual_seed(0)
model, guide = VAE(64, 2), AmortizedNormal(64, 2, (128, 128))
settings = {"num_epochs": 100, "batch_size": 128, "learning_rate": 3e-3, "schedule": "cosine", "progress": False}
fitted = fit(model, guide, digits.train, **settings)
target = Target(model.eval(), guide.eval(), digits.test[:60])
lattice = quadrature(target)
truth = Errors(lattice.info["mean"].float(), lattice.info["sd"].float())
ways = {
    "encoder": [lambda: by_guide(guide, digits.test[:60])],
    "best Gaussian": [lambda: refined(target)],
    "weighted draws": [lambda: by_weights(target)],
    "HMC, 4 × 50": [lambda s=s: by_draws(hmc(target, num_draws=50, seed=s)) for s in SEEDS],
    "HMC, 4 × 500": [lambda s=s: by_draws(kept.setdefault(s, hmc(target, seed=s))) for s in SEEDS],
}
off = {}
for name, calls in ways.items():
    found = [timed(call) for call in calls]
    pairs = [truth.of(mean.float(), sd.float()) for (mean, sd), _ in found]
    off[name] = [m for m, _ in pairs], [s for _, s in pairs]
    (mean, mean_error), (sd, sd_error) = interval(off[name][0]), interval(off[name][1])
    print(
        f"{name:15s} {1000 * found[0][1] / 60:8.3f} ms a datum; means off by {mean:.3f} ± {mean_error:.3f} sd, ", end=""
    )
    print(f"sds by {100 * sd:.1f} ± {100 * sd_error:.1f} %")
draws = kept[0]
single, seconds = timed(lambda: nuts(target.select([0, 1]), num_chains=1, num_warmup=100, num_draws=100))
print(f"NUTS, one chain: {1000 * seconds / 2:.0f} ms a datum")
bridged = bridge(target, draws)
far = (bridged.value - lattice.value).abs()
print(
    f"log p(x) by bridge from HMC off by {far.mean():.3f} nats on average, {far.max():.3f} at most; the ELBO is ",
    end="",
)
print(
    f"{(lattice.value - lattice.info['elbo']).mean():.2f} low; {sum(map(bool, draws.flags))} of 60 did not pass the "
    f"gates"
)
encoder, chains = off["encoder"][0][0], torch.stack(off["HMC, 4 × 500"][0]).mean(0)
assert chains.mean() < 0.5 * encoder.mean(), "chains should know the means better than the encoder"
assert far.mean() < 0.05

# %% [markdown]
# Here the encoder's error is not the family's alone: the best Gaussian of each datum has less of it. And some of
# these posteriors have two modes, whose mean and deviation no single Gaussian at one of them has.

# %%
hmc_price = middle(cost["HMC, 4 × 50", 10]) / middle(cost["encoder", 10])
ratio = torch.tensor(cost["HMC, 4 × 500", 50]) / torch.tensor(cost["HMC, 4 × 500", 2])
print(f"10 latents: a datum by HMC costs {hmc_price:.0e} times the encoder's answer; ", end="")
print(f"50 latents cost {ratio.min():.0f} to {ratio.max():.0f} times as much as 2")
record(
    "C9",
    verdict="half true",
    number=middle(worth[10]),
    error=max(max(worth[10]) - middle(worth[10]), middle(worth[10]) - min(worth[10])),
    unit="data",
    measured="number of data from which training an encoder takes less time than HMC on each of them, 10 latents",
    error_of="to the farther of three seeds",
    holds="linear-Gaussian model, one thread; below that number chains are cheaper and better, above it the encoder is "
    "cheaper and its error stays",
)
record(
    "C10",
    verdict="half true",
    number=slope["HMC, 4 × 500"].mean(),
    error=4.3 * slope["HMC, 4 × 500"].std() / 3**0.5,
    unit="exponent",
    measured="power of the number of latents with which the seconds of HMC for a datum grow, from 2 to 50",
    error_of="95 %, three seeds",
    holds="Gaussian posteriors with moderate correlations; in fifty dimensions chains are right where the encoder's "
    "standard deviations and its log p(x) are not; funnels and many modes are another matter",
)

# %% [markdown]
# ## The claims, and what was measured
#
# - *MCMC is slow for large data sets.* For one datum it costs a hundred thousand times what an encoder's answer does,
#   and for thousands of data that is decisive. It is not for few: chains of all data at once are done before an encoder
#   is trained for some dozens of data with two latents, about ten with ten, and hardly one with fifty (the seeds are
#   printed above); one by one, as NUTS runs, not for one. Beyond, the encoder is the cheaper and its error stays.
# - *MCMC is too slow for latents of many dimensions.* Its seconds grow as a power of the dimension, about the first;
#   what grows in variational inference is the *error*: the room, the standard deviations, and the weighted draws that
#   were to repair it and end farther off than the encoder itself.
# - What the seconds buy: means as good as the encoder's from 4 × 50 draws on, three times better from 4 × 500; standard
#   deviations and $\log p(x)$ that a diagonal Gaussian cannot have. The best Gaussian of each datum takes as long
#   as chains, and beats them here, because these posteriors *are* Gaussian; of digits it misses the second modes.
# - What is true: an encoder is the way to answer for very many data, and to train a model at all. What it is worth,
#   some chains on a few dozen data will tell, in seconds.
#
# A linear-Gaussian model at three seeds with moderate correlations, for which jumps between fitted proposals are
# nearly independent draws; one VAE of two latents; seconds of one thread of one machine.
