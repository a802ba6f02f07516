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

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, bracket, fit, importance
from elbowroom.models import VAE

data = load("digits", binarize="threshold")
SETTINGS = {"num_epochs": 60, "batch_size": 128, "learning_rate": 3e-3, "schedule": "cosine", "progress": False}


def trained(**options):
    torch.manual_seed(0)
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


def variance(kind, num_samples, repeats=200):
    found = torch.stack([gradient(kind, batch, num_samples) for _ in range(repeats)])
    return found.var(0).sum().item(), found.mean(0)


torch.manual_seed(1)
batch = data.train[torch.randperm(len(data.train))[:128]]
KINDS = ("reparameterised", "sticking the landing", "score", "score with a baseline")
SIZES = (1, 2, 4, 8, 16)
noise = {kind: {s: variance(kind, s) for s in SIZES if s > 1 or "baseline" not in kind} for kind in KINDS}
unit = noise["reparameterised"][1][0]
for kind, found in noise.items():
    print(f"{kind:22s}", "  ".join(f"S = {s}: {value / unit:8.2f}" for s, (value, _) in found.items()))

# %% [markdown]
# In units of the reparameterised gradient of one draw. That they estimate the same gradient is a claim, too: the
# squared distance of two means of 200 is, if they do, as large as the noise in both.

# %%
for kind in ("sticking the landing", "score with a baseline"):
    (value, mean), (other, reference) = noise[kind][16], noise["reparameterised"][16]
    distance = (mean - reference).square().sum().item()
    expected = (value + other) / 200
    print(f"{kind}: squared distance {distance / expected:.2f} times what noise alone makes")
    assert distance < 2 * expected, "the estimates should have one mean"
ratio = {kind: found[2][0] / noise["reparameterised"][2][0] for kind, found in noise.items()}
assert ratio["score"] > 20, "the bare score should be far noisier"
assert ratio["score with a baseline"] < 3, "a baseline of one other draw should mend most of it"
assert ratio["sticking the landing"] < 1

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
of_data = torch.stack(between).var(0).sum().item() - noise["reparameterised"][16][0]
print(f"variance between minibatches of 128: {of_data / unit:.2f} of that of one draw of z")
for s in SIZES:
    drawn = noise["reparameterised"][s][0]
    print(f"S = {s:2d}: draws make {100 * drawn / (drawn + of_data):.0f} %")
assert of_data < unit, "near the end the draws should be the larger part of the noise"

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
results = {}
for name, options in WAYS.items():
    pair = trained(**options) if options else (model, guide)
    sides = {}
    for split, x in (("test", data.test[::9]), ("training", data.train[::31])):
        both = bracket(Target(*pair, x), budget=60)
        assert both.settled.all(), f"the two sides of {name} ({split}) should meet"
        sides[split] = (both.lower.value + both.upper.value) / 2
    elbo = importance(Target(*pair, data.test[::9]), num_samples=500, search=False).info["elbo"].mean().item()
    results[name] = sides["test"]
    gain = sides["test"] - results["one draw"]
    print(
        f"{name:21s} ELBO {elbo:.2f}, log p(x) {sides['test'].mean():.2f}: {gain.mean():+.2f} ± "
        f"{1.96 * gain.std() / len(gain) ** 0.5:.2f}; of training digits {sides['training'].mean():.2f}"
    )
spread = max(r.mean() for r in results.values()) - min(r.mean() for r in results.values())
assert spread < 1.5, "the ways differ in noise, not in what they climb"

# %%
figure, axis = plt.subplots(figsize=(6.4, 3.6))
colors = ("#33608c", "#5b8c5a", "#b0413e", "#c9a227")
for (kind, found), color in zip(noise.items(), colors, strict=True):
    axis.loglog(list(found), [value / unit for value, _ in found.values()], "o-", color=color, label=kind)
axis.axhline(of_data / unit, color="#666666", linestyle="--", linewidth=1)
where = {"textcoords": "offset points", "xytext": (0, 4), "fontsize": 8}
axis.annotate("between minibatches of 128", (SIZES[0], of_data / unit), **where)
axis.set_xticks(SIZES, [str(s) for s in SIZES])
axis.minorticks_off()
axis.set(xlabel="draws of z for each datum", ylabel="variance of the encoder's gradient")
axis.set_title("The noise of one gradient, four ways", loc="left", fontsize=10)
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## The claims, and what was measured
#
# - *One sample is enough.* To train, yes. It is not because the minibatch averages the noise away: near the end the
#   draws make nearly all of it. Ten draws, or gradients with less noise from one, ended some tenths of a nat higher
#   after equal epochs, and higher on training digits, too: noise is no regulariser here.
# - *Reparameterisation is needed.* Of a single draw, yes. With a second draw as a baseline the score is about as
#   good, and it is all there is for discrete latents (`loss="score-function"`).
# - For nothing at all, sticking the landing (`loss="STL"`) has a fraction of the noise, the smaller the better $q$
#   is.
#
# One model of ten latents, one minibatch for the comparison, one seed.
