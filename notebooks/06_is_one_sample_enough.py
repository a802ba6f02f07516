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
# # Is one sample enough, and is reparameterisation needed?
#
# A step of variational training estimates $\nabla_\phi\, E_q[\log w]$, $w = p(x, z)/q(z|x)$, by $S$ draws of $z$ for
# each datum of a minibatch. It is often said that one draw is enough because the minibatch averages the rest away,
# and that nothing works without the reparameterisation $z = m + s\,\epsilon$. Both are claims about the variance of a
# gradient, so we measure it, near the end of training, where it decides how close the last steps get.

# %%
import matplotlib.pyplot as plt
import torch

from claims import record
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, bracket, fit, importance
from elbowroom.models import VAE
from elbowroom.report import look
from figures import name_line, show

data = load("digits", binarize="threshold")
SETTINGS = {"num_epochs": 60, "batch_size": 128, "learning_rate": 3e-3, "schedule": "cosine", "progress": False}


def trained(seed=0, **options):
    torch.manual_seed(seed)
    model, guide = VAE(64, 10), AmortizedNormal(64, 10)
    fit(model, guide, data.train, **SETTINGS, **options)
    return model.eval(), guide.eval()


model, guide = trained()

# %% [markdown]
# ## 1 Four estimates of one gradient
#
# All have the same mean, the gradient of the ELBO in the encoder's parameters:
#
# - *reparameterised*: differentiate $\log w$ along $z = m + s\,\epsilon$;
# - *sticking the landing*: the same without the term $\nabla_\phi \log q(z)$ at fixed $z$, whose mean is zero;
# - *score*: $\log w\, \nabla_\phi \log q(z)$, which asks for no derivative of $\log w$ (so $z$ may be discrete);
# - *score with a baseline*: the same with $\log w$ less the mean of the other draws' of this datum.


# %%
def log_weights(x, z, q):
    flat = z.flatten(0, 1)
    joint = model.log_joint(x.expand(len(z), *x.shape).flatten(0, 1), flat).unflatten(0, z.shape[:2])
    return joint - q.log_prob(z)


def surrogate(kind, x, num_samples):
    q = guide.encode(x)
    z = q.rsample((num_samples,))
    if kind == "reparameterised":
        return log_weights(x, z, q).mean(0)
    if kind == "sticking the landing":
        fixed = torch.distributions.Independent(
            torch.distributions.Normal(q.base_dist.loc.detach(), q.base_dist.scale.detach()), 1
        )
        return log_weights(x, z, fixed).mean(0)
    z = z.detach()
    log_w = log_weights(x, z, q).detach()
    if kind == "score with a baseline":
        log_w = log_w - (log_w.sum(0) - log_w) / (num_samples - 1)
    return (log_w * q.log_prob(z)).mean(0)


def gradient(kind, x, num_samples):
    grads = torch.autograd.grad(surrogate(kind, x, num_samples).mean(), tuple(guide.parameters()))
    return torch.cat([grad.flatten() for grad in grads]).double()


def spread_of(gradients):
    """Total variance of gradients, its standard error, and their mean."""
    found = torch.stack(gradients)
    distance = (found - found.mean(0)).square().sum(1) * len(found) / (len(found) - 1)
    return distance.mean().item(), (distance.std() / len(found) ** 0.5).item(), found.mean(0)


def variance(kind, num_samples, repeats=200):
    return spread_of([gradient(kind, batch, num_samples) for _ in range(repeats)])


torch.manual_seed(1)
batch = data.train[torch.randperm(len(data.train))[:128]]
KINDS = ("reparameterised", "sticking the landing", "score", "score with a baseline")
SIZES = (1, 2, 4, 8, 16)
noise = {kind: {s: variance(kind, s) for s in SIZES if s > 1 or "baseline" not in kind} for kind in KINDS}
unit = noise["reparameterised"][1][0]
for kind, found in noise.items():
    print(f"{kind:22s}", "  ".join(f"S = {s}: {value / unit:8.2f}" for s, (value, *_) in found.items()))

# %% [markdown]
# In units of the reparameterised gradient of one draw. That they estimate the same gradient is a claim, too: the
# squared distance of two means of 200 is, if they do, as large as the noise in both.

# %%
for kind in ("sticking the landing", "score with a baseline"):
    (value, _, mean), (other, _, reference) = noise[kind][16], noise["reparameterised"][16]
    distance = (mean - reference).square().sum().item()
    expected = (value + other) / 200
    print(f"{kind}: squared distance {distance / expected:.2f} times what noise alone makes")
    assert distance < 2 * expected, "the estimates should have one mean"
ratio = {kind: found[2][0] / noise["reparameterised"][2][0] for kind, found in noise.items()}
assert ratio["score"] > 20, "the bare score should be far noisier"
assert ratio["score with a baseline"] < 3, "a baseline of one other draw should mend most of it"
assert ratio["sticking the landing"] < 1
parts = [noise[kind][2] for kind in ("score with a baseline", "reparameterised")]
record(
    "C7",
    verdict="half true",
    number=ratio["score with a baseline"],
    error=1.96 * ratio["score with a baseline"] * sum((error / value) ** 2 for value, error, _ in parts) ** 0.5,
    unit="times",
    measured="variance of the score with a baseline, in that of the reparameterised gradient, two draws each",
    error_of="95 %, 200 gradients",
    holds="near the end of training, ten latents: of one draw the score is hundreds of times noisier, with a second "
    "draw as baseline it is as good within a factor",
)

# %% [markdown]
# So reparameterisation is not what makes the gradient usable: a baseline for which two draws of each datum are enough
# comes close to it, and needs no derivative in $z$. The bare score, which textbooks compare with, is hundreds of
# times noisier.
#
# ## 2 What the minibatch averages away
#
# A step's gradient varies because of the draws of $z$ and because of which data are in the minibatch. The second part
# is what would be left with infinitely many draws: the variance between minibatches at $S = 16$, less a sixteenth of
# the first part.

# %%
between = []
for _ in range(12):
    shuffled = data.train[torch.randperm(len(data.train))[:1152]].split(128)
    between += [gradient("reparameterised", x, 16) for x in shuffled]
together, together_error, _ = spread_of(between)
of_data = together - noise["reparameterised"][16][0]
print(f"variance between minibatches of 128: {of_data / unit:.2f} of that of one draw of z")
for s in SIZES:
    drawn = noise["reparameterised"][s][0]
    print(f"S = {s:2d}: draws make {100 * drawn / (drawn + of_data):.0f} %")
assert of_data < unit, "near the end the draws should be the larger part of the noise"
data_error = (together_error**2 + noise["reparameterised"][16][1] ** 2) ** 0.5
unit_error = noise["reparameterised"][1][1]
record(
    "C6",
    verdict="half true",
    number=100 * unit / (unit + of_data),
    error=196 * unit / (unit + of_data) ** 2 * (data_error**2 + (of_data / unit * unit_error) ** 2) ** 0.5,
    unit="%",
    measured="share of the draws of z in the variance of one step's gradient, one draw, minibatch 128",
    error_of="95 %, 200 gradients and 108 minibatches",
    holds="near the end of training: a minibatch does average, but the draws remain most of the noise",
)

# %% [markdown]
# Near the end of training the minibatch does *not* average the draws away: they are most of the noise in a step.
#
# ## 3 Does it matter for what is learned?
#
# Equal epochs, one draw or ten, the KL term in closed form, or sticking the landing; $\log p(x)$ from both sides for
# every ninth test digit and as many training digits.

# %%
WAYS = {
    "one draw": {},
    "ten draws": {"num_particles": 10},
    "closed-form KL": {"loss": "TraceMeanField_ELBO"},
    "sticking the landing": {"loss": "STL"},
}
results, programs = {}, {}
for name, options in WAYS.items():
    pair = trained(**options) if options else (model, guide)
    sides = {}
    for split, x in (("test", data.test[::9]), ("training", data.train[::31])):
        both = bracket(Target(*pair, x), budget=60)
        assert both.settled.all(), f"the two sides of {name} ({split}) should meet"
        sides[split] = (both.lower.value + both.upper.value) / 2
    elbo = importance(Target(*pair, data.test[::9]), num_samples=500, search=False).info["elbo"].mean().item()
    results[name], programs[name] = sides["test"], pair
    gain = sides["test"] - results["one draw"]
    print(
        f"{name:21s} ELBO {elbo:.2f}, log p(x) {sides['test'].mean():.2f}: {gain.mean():+.2f} ± "
        f"{1.96 * gain.std() / len(gain) ** 0.5:.2f}; of training digits {sides['training'].mean():.2f}"
    )
spread = max(r.mean() for r in results.values()) - min(r.mean() for r in results.values())
assert spread < 1.5, "the ways differ in noise, not in what they climb"

# %% [markdown]
# One seed and forty digits cannot say much of tenths of a nat. One draw against ten on three seeds, all test digits and
# as many of those trained on, by importance sampling:

# %%
gains = {"test": [], "train": []}
for seed in range(3):
    pairs = [trained(seed=seed), trained(seed=seed, num_particles=10)] if seed else []
    pairs = pairs or [programs["one draw"], programs["ten draws"]]
    for split, kept in gains.items():
        x = data.split(split)[:360]
        one, ten = (importance(Target(*pair, x), num_samples=1000, search=False).value for pair in pairs)
        kept.append(ten - one)
means = {split: torch.tensor([gain.mean() for gain in kept]) for split, kept in gains.items()}
for split, values in means.items():
    print(f"ten draws less one, {split} digits, seed by seed:", ", ".join(f"{value:+.2f}" for value in values))
record(
    "C5",
    verdict="half true",
    number=means["test"].mean(),
    error=4.3 * means["test"].std() / 3**0.5,
    unit="nats",
    measured="log p(x) of test digits, trained by ten draws less trained by one, equal epochs",
    error_of="95 %, three seeds",
    holds="VAE of ten latents on digits, 60 epochs: one draw trains it; the noise that is left costs tenths of a nat",
)
apart = means["train"] - means["test"]
record(
    "C8",
    verdict="false" if apart.mean() < 4.3 * apart.std() / 3**0.5 else "half true",
    number=apart.mean(),
    error=4.3 * apart.std() / 3**0.5,
    unit="nats",
    measured="what ten draws in place of one gain on training digits more than on test digits",
    error_of="95 %, three seeds",
    holds="VAE of ten latents on digits: less noise raised training digits and test digits; what the noise held back "
    "of the first it cost the second, too, and several times over",
)
assert means["test"].mean() > apart.mean(), "noise cost test digits more than it held training digits back"

# %%
figure, axis = plt.subplots(figsize=(6.4, 3.6))
roles = ("guide", "exact", "draws", "sampled")
for (kind, found), role in zip(noise.items(), roles, strict=True):
    values = [value / unit for value, *_ in found.values()]
    axis.loglog(list(found), values, **look(role))
    name_line(axis, list(found)[-1], values[-1], kind, look(role), dy={"guide": 5, "sampled": -6}.get(role, 0))
axis.axhline(of_data / unit, color="#666666", linestyle="--", linewidth=1)
where = {"textcoords": "offset points", "xytext": (0, 4), "fontsize": 8}
axis.annotate("between minibatches of 128", (SIZES[0], of_data / unit), **where)
axis.set_xticks(SIZES, [str(s) for s in SIZES])
axis.minorticks_off()
axis.set(xlabel="draws of z for each datum", ylabel="variance of the encoder's gradient")
axis.set_title("The noise of one gradient, four ways", loc="left", fontsize=10)
show(
    figure,
    """Variance of the encoder's gradient against draws of z for each datum, both logarithmic: four falling lines. The
    bare score is hundreds of times above the reparameterised one; with a baseline it is close to it; sticking the
    landing is below. A dashed level, between minibatches, lies under most of them.""",
)

# %% [markdown]
# ## The claims, and what was measured
#
# - *One sample is enough.* To train, yes. It is not because the minibatch averages the noise away: near the end the
#   draws make nearly all of it. Ten draws, or gradients with less noise from one, ended half a nat to a nat higher
#   after equal epochs.
# - *Stochasticity acts like regularisation.* Less noise raised training digits a little more than test digits, and
#   both by far more than that difference: as a regulariser it costs what it is to protect.
# - *Reparameterisation is needed.* Of a single draw, yes. With a second draw as a baseline the score is about as
#   good, and it is all there is for discrete latents (`loss="score-function"`).
# - For nothing at all, sticking the landing (`loss="STL"`) has a fraction of the noise, the smaller the better $q$
#   is.
#
# One model of ten latents, one minibatch for the comparison of gradients, three seeds for what is learned.
