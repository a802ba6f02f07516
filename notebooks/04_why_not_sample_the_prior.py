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
# # Why not just sample the prior?
#
# $p(x) = E_{p(z)}[p(x|z)]$ is an average; draw $z$ from the prior and take it. It is often said that this takes a lot
# of samples, that 99.99 % of them are irrelevant, that millions would be needed, and that drawing from $q(z|x)$
# instead makes the average tractable. How many samples, then, and what does it depend on? Probabilistic PCA has
# $p(x)$ and the posterior in closed form for any number of latents, so every error below is an error, not a guess.

# %%
import math

import matplotlib.pyplot as plt
import torch

from claims import record
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, importance
from elbowroom.models import PPCA
from elbowroom.report import look
from figures import name_line, show

digits = load("digits")
LATENTS = (1, 2, 3, 4, 5, 6, 8, 12, 20, 40)
NUM_SAMPLES, some = 2**16, digits.test[::9]

# %% [markdown]
# ## 1 How far the posterior is from the prior
#
# One number says how hard it will be: $\mathrm{KL}(p(z|x)\,\|\,p(z))$, how much the datum tells of its latents. A
# draw of the prior falls into the posterior's region about once in $e^{\mathrm{KL}}$.


# %%
def from_prior(model, x, num_samples=NUM_SAMPLES, chunk=4096):
    """log p(x|z) of draws of the prior, the same for all data: `[S, B]`."""
    torch.manual_seed(0)
    weight = model.loadings / model.sigma
    centred = (x - model.mean) / model.sigma
    level = -0.5 * x.shape[1] * math.log(2 * math.pi) - x.shape[1] * model.log_sigma
    parts = []
    for _ in range(num_samples // chunk):
        mean = torch.randn(chunk, weight.shape[1]) @ weight.T  # [S, P]
        parts.append(level - 0.5 * torch.cdist(mean, centred).square())
    return torch.cat(parts).detach().double()


models = {latents: PPCA.fit_closed_form(digits.train, latents) for latents in LATENTS}
kl, draws, exact = {}, {}, {}
for latents, model in models.items():
    posterior = model.posterior(some)
    kl[latents] = torch.distributions.kl_divergence(
        posterior, torch.distributions.MultivariateNormal(torch.zeros(latents), torch.eye(latents))
    ).detach()
    draws[latents], exact[latents] = from_prior(model, some), model.log_prob(some).detach().double()
torch.manual_seed(0)
means = models[5].decode(torch.randn(4096, 5)[:3].unsqueeze(1))  # the first draws again, by the model itself
assert torch.allclose(means.log_prob(some).double(), draws[5][:3], atol=1e-2), (
    "the density, written out, is the model's"
)
for latents in LATENTS:
    log_w = draws[latents]
    estimate = log_w.logsumexp(0) - math.log(NUM_SAMPLES)
    print(
        f"{latents:2d} latents: KL {kl[latents].mean():5.1f} nats; 65 536 draws of the prior err by "
        f"{(estimate - exact[latents]).mean():8.2f} nats"
    )
assert (draws[2].logsumexp(0) - math.log(NUM_SAMPLES) - exact[2]).abs().max() < 0.2, "with two latents it works"
assert (draws[20].logsumexp(0) - math.log(NUM_SAMPLES) - exact[20]).mean() < -3, "with twenty it does not"

# %% [markdown]
# ## 2 How many samples for one nat?
#
# For each digit the number of draws from which on the estimate is within a nat, by doubling; half of all digits
# are done by then.

# %%
LEVELS = [2**level for level in range(17)]


def needed(log_w, log_p):
    """The draws, a power of two, from which on each estimate stays within a nat of log p(x); infinite if none."""
    within = torch.stack([(log_w[:size].logsumexp(0) - math.log(size) - log_p).abs() < 1 for size in LEVELS])
    stays = within.flip(0).cumprod(0).flip(0).bool()  # [levels, B]
    first = stays.double().argmax(0)
    sizes = torch.tensor(LEVELS, dtype=torch.double)[first]
    return torch.where(stays.any(0), sizes, torch.inf)


asked = {latents: needed(draws[latents], exact[latents]) for latents in LATENTS}
points = [(kl[latents][b].item(), asked[latents][b].log().item()) for latents in LATENTS[:6] for b in range(len(some))]
points = torch.tensor([point for point in points if math.isfinite(point[1])], dtype=torch.double)
nats = torch.stack([kl[latents].mean() for latents in LATENTS]).double()
median = torch.stack([asked[latents].median() for latents in LATENTS]).log()
known = median < math.log(NUM_SAMPLES)  # at the last size nothing is said of staying
x, y = nats[known] - nats[known].mean(), median[known] - median[known].mean()
slope = (x * y).sum() / x.square().sum()
slope_error = ((y - slope * x).square().sum() / (known.sum() - 2) / x.square().sum()).sqrt()
print(f"log of the draws needed rises by {slope:.2f} ± {slope_error:.2f} a nat of KL (theory: 1)")
assert 0.5 < slope < 1.5
record(
    "C1",
    verdict="true",
    number=slope,
    error=2.8 * slope_error,
    unit="nats a nat",
    measured="rise of the log of the number of draws needed for an error of a nat, against KL(posterior ‖ prior)",
    error_of=f"95 %, a line through {int(known.sum())} models",
    holds="PPCA of digits: a lot is e to the KL, a dozen with two latents and more than there are with twenty",
)

# %% [markdown]
# ## 3 How many draws are irrelevant?
#
# Call a draw irrelevant for a digit if its $p(x|z)$ is below a thousandth of the best draw's.

# %%
irrelevant = {
    latents: (draws[latents] < draws[latents].amax(0) - math.log(1000)).double().mean(0) for latents in LATENTS
}
for latents, share in irrelevant.items():
    print(
        f"{latents:2d} latents: {100 * share.mean():.3f} % of the draws are irrelevant (median digit "
        f"{100 * share.median():.3f})"
    )
share = irrelevant[2]
record(
    "C2",
    verdict="half true",
    number=100 * share.mean(),
    error=196 * share.std() / len(share) ** 0.5,
    unit="%",
    measured="draws of the prior whose likelihood is below a thousandth of the best, two latents",
    error_of=f"95 % over {len(share)} digits",
    holds="PPCA of digits: false with two latents; 99.9 % is reached at about eight, 99.99 % between 12 and 20",
)
assert share.mean() < 0.99 and irrelevant[40].mean() > 0.9999

million = math.log(1e6)
upper = next(i for i, latents in enumerate(LATENTS) if kl[latents].mean() > million)
below, above = LATENTS[upper - 1], LATENTS[upper]


def from_where(low, high):
    return below + (above - below) * (million - low) / (high - low)


samples = [
    from_where(kl[below][chosen].mean().item(), kl[above][chosen].mean().item())
    for chosen in torch.randint(len(some), (500, len(some)), generator=torch.Generator().manual_seed(0))
]
where = torch.tensor(samples)
print(f"e to the KL passes a million at {where.mean():.1f} ± {1.96 * where.std():.1f} latents")
record(
    "C3",
    verdict="half true",
    number=where.mean(),
    error=1.96 * where.std(),
    unit="latents",
    measured="number of latents from which e to the KL(posterior ‖ prior) is a million",
    error_of="95 %, digits drawn again",
    holds="PPCA of digits: true above, and there it soon is not millions but more than can be had",
)

# %% [markdown]
# ## 4 And from q?
#
# An encoder for the model of twenty latents, where the prior is hopeless; a thousand draws.

# %%
model = models[20]
for parameter in model.parameters():
    parameter.requires_grad_(False)
guide = AmortizedNormal(64, 20, hidden=())
torch.manual_seed(0)
fit(model, guide, digits.train, num_epochs=60, batch_size=64, learning_rate=1e-2, schedule="cosine", progress=False)
target = Target(model, guide.eval(), digits.test)
sampled = importance(target, num_samples=1000, search=False)
short = (model.log_prob(digits.test) - sampled.value).double()
light = sampled.info["pareto_k"] < 0.7
prior_short = (exact[20] - (draws[20].logsumexp(0) - math.log(NUM_SAMPLES))).mean()
print(
    f"20 latents: 65 536 draws of the prior {prior_short:.1f} nats low, 1000 of q {short.mean():.3f} (k̂ below 0.7 ",
    end="",
)
print(
    f"for {100 * light.double().mean():.0f} % of digits: these {short[light].mean():.3f}, the others "
    f"{short[~light].mean():.3f})"
)
record(
    "C4",
    verdict="half true",
    number=short.mean(),
    error=1.96 * short.std() / len(short) ** 0.5,
    unit="nats",
    measured="log p(x) less its estimate by 1000 draws of an encoder, 20 latents",
    error_of=f"95 % over {len(short)} digits",
    holds="PPCA with a linear encoder: true where k-hat is below 0.7; a q that lacks a part of the posterior is low "
    "and its own draws do not show it",
)
assert short.mean() < 0.1 * prior_short, "an encoder's draws should be far better than the prior's"
assert (short.abs() < 4 * sampled.stderr + 0.05)[light].double().mean() > 0.95, "where k-hat is low the error bar holds"

# %%
figure, axis = plt.subplots(figsize=(7.2, 4.4))
axis.plot(points[:, 0], points[:, 1].exp(), **look("data", linestyle="", markersize=4, alpha=0.3))
axis.plot(nats[known], median[known].exp(), **look("sampled", linestyle=""))
for latents, x_value, y_value in zip(LATENTS, nats[known], median[known].exp(), strict=False):
    name_line(axis, x_value, y_value, f"{latents} latent{'s' * (latents > 1)}", look("sampled"), dx=16, dy=-16)
line = torch.linspace(0, 16, 50)
axis.plot(line, line.exp(), **look("exact", marker=""))
name_line(axis, 12.5, math.exp(12.5), "e to the KL", look("exact"), dx=-78, dy=4)
axis.set(yscale="log", xlim=(0, 16), ylim=(0.7, 1e7), xlabel="KL(posterior ‖ prior), nats")
axis.set_ylabel("draws of the prior for an error of a nat")
axis.set_title("What a datum tells of its latents is what sampling the prior costs")
show(
    figure,
    """Draws of the prior needed for an error of a nat, logarithmic, against KL of the posterior from the prior. Dots
    are digits, diamonds the medians of models with 1 to 6 latents; both follow the line e to the KL.""",
)

# %% [markdown]
# ## The claims, and what was measured
#
# - *You need a lot of samples.* About $e^{\mathrm{KL}}$ of them, where KL is how far the posterior is from the
#   prior: the slope was measured. It is no matter of the dimension as such.
# - *99.99 % of samples are irrelevant.* Not with two latents, where a quarter of the draws count; from about eight
#   latents on the sentence is nearly true, and of twenty an understatement.
# - *Millions would be needed.* From ten or eleven latents of these digits on; and with twice as many, more than anybody
#   can draw.
# - *Sampling from $q$ makes it tractable.* A thousand draws did what no number of the prior's could. It holds where
#   $\hat k$ is below 0.7, and $q$ has to be good for that.
#
# Probabilistic PCA of grey digits, 40 of them; one seed for the draws.
