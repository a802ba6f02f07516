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
# # What is the likelihood of a VQ-VAE?
#
# A vector-quantised autoencoder says a datum in a few codes $k = (k_1, \dots, k_L)$ of a codebook and decodes their
# vectors. It is reported by its reconstruction error, sometimes called a likelihood. But $\log p(x|k^*)$ leaves out
# what it costs to say $k^*$. With a prior over codes the model has a likelihood like any other:
#
# $$\log p(x) = \log \sum_k p(k)\, p(x|k), \qquad \log p(x, k^*) = \log p(x) + \log p(k^*|x) \le \log p(x).$$
#
# With two codes of sixteen the sum has 256 terms, so each of these numbers can be seen.

# %%
import matplotlib.pyplot as plt
import torch

from claims import record
from elbowroom.datasets import load
from elbowroom.guides import NearestCode
from elbowroom.inference import Target, code_usage, fit, importance, quadrature
from elbowroom.models import VectorQuantized
from elbowroom.report import look
from figures import show

data = load("digits", binarize="threshold")
SETTINGS = {"num_epochs": 100, "batch_size": 64, "learning_rate": 1e-2, "schedule": "cosine", "progress": False}


def trained(prior):
    torch.manual_seed(0)
    model = VectorQuantized(64, num_codes=16, num_positions=2, prior=prior)
    guide = NearestCode(model)
    fitted = fit(model, guide, data.train, loss="quantized", **SETTINGS)
    print(f"prior {prior}: {fitted.seconds:.0f} s; the loss is a bound from {fitted.bound}")
    return model.eval(), guide.eval()


model, guide = trained("autoregressive")
flat, flat_guide = trained("uniform")

# %% [markdown]
# ## 1 Three numbers, of which two are likelihoods

# %%
target = Target(model, guide, data.test)
exact = quadrature(target).value
codes = guide.nearest(data.test)
with torch.no_grad():
    bound = model.log_joint(data.test, codes).double()
    reconstruction = model.decode(codes).log_prob(data.test).double()
shortfall = exact - bound
for name, value in {
    "log p(x), the sum": exact,
    "log p(x, k*), a bound": bound,
    "log p(x | k*), a reconstruction": reconstruction,
}.items():
    print(f"{name:33s} {value.mean():8.3f} ± {value.std() / len(value) ** 0.5:.2f} over digits")
assert (bound <= exact + 1e-5).all(), "one term of a sum of probabilities is below the sum, for each digit"
assert reconstruction.mean() > exact.mean() + 1, "a reconstruction flatters"
record(
    "C30",
    verdict="true",
    number=shortfall.mean(),
    error=1.96 * shortfall.std() / len(shortfall) ** 0.5,
    unit="nats",
    measured="log p(x), summed over all codes, less the usual bound at the nearest code",
    error_of=f"95 % over {len(shortfall)} digits",
    holds="two codes of sixteen on digits: a latent-variable model with discrete latents, whose likelihood is a sum",
)

# %% [markdown]
# What the bound lacks is known exactly: $-\log p(k^*|x)$, how sure the model's own posterior is of the nearest code.

# %%
every = torch.cartesian_prod(torch.arange(16), torch.arange(16))  # [256, 2]
with torch.no_grad():
    rows = torch.stack([model.log_joint(data.test, k.expand(len(data.test), 2)) for k in every], -1).double()
posterior = rows.log_softmax(-1)
at_nearest = posterior.gather(1, (codes[:, :1] * 16 + codes[:, 1:])).squeeze(1)
assert torch.allclose(rows.logsumexp(-1), exact, atol=1e-4), "quadrature is that sum"
assert torch.allclose(shortfall, -at_nearest, atol=1e-4)
best = (posterior.argmax(1) == codes[:, 0] * 16 + codes[:, 1]).double().mean()
print(f"shortfall {shortfall.mean():.2f} nats on average, {shortfall.max():.1f} at most; ", end="")
print(f"the nearest code is the most probable one for {100 * best:.0f} % of the digits")

# %% [markdown]
# ## 2 A prior over codes is a part of the model
#
# The same training with a uniform prior, which is what the first half of the usual recipe leaves:

# %%
flat_exact = quadrature(Target(flat, flat_guide, data.test)).value
gain = exact - flat_exact
print(f"uniform prior: log p(x) {flat_exact.mean():.3f}; the learned one gains {gain.mean():.2f} ", end="")
print(f"± {1.96 * gain.std() / len(gain) ** 0.5:.2f} nats a digit")
usage = code_usage(codes, num_codes=16)
print(usage)

# %% [markdown]
# ## 3 What weighted draws make of it
#
# A guide that always draws the nearest code has equal weights, which looks like a perfect guide. So `importance` does
# not draw codes that it can sum over: it takes them out of both programs. To see what it is spared, we draw them by
# hand, from a guide softened by a temperature.

# %%
low = {}
for temperature in (0.1, 1.0, 3.0):
    softened = NearestCode(model, temperature=temperature).eval()
    softened.load_state_dict(guide.state_dict())
    soft = Target(model, softened, data.test)
    log_w = soft.log_weights(1000).double()
    drawn = log_w.logsumexp(0) - torch.tensor(1000.0).log()
    low[temperature] = exact - drawn
    equal = (log_w.std(0) < 1e-6) & (low[temperature] > 0.1)
    print(
        f"temperature {temperature:3}: {low[temperature].mean():.3f} nats low on average, "
        f"{int((low[temperature] > 0.1).sum())} digits more than .1; {int(equal.sum())} of these with equal weights"
    )
    summed = importance(soft, num_samples=10)
    assert (summed.value - exact).abs().max() < 1e-3, "summed over, ten draws are exact"
assert low[0.1].mean() > low[1.0].mean(), "a softer guide sees more codes"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
left.hist(shortfall.numpy(), bins=30, color=look("bound")["color"])
left.set(xlabel="log p(x) − log p(x, k*), nats", ylabel="digits")
left.set_title("What one code leaves out", loc="left", fontsize=10)
for place, (row, color) in enumerate(zip(usage.usage, ("#56B4E9", "#0B3C5D"), strict=True)):
    right.bar(torch.arange(16) + 0.4 * place, row, width=0.4, color=color, label=f"position {place + 1}")
right.set(xlabel="code", ylabel="share of the digits")
right.set_title("How much of the codebook is used", loc="left", fontsize=10)
right.legend(frameon=False, fontsize=9)
show(
    figure,
    """Left: a histogram over digits of what the bound at the nearest code lacks, most below three nats, some far above.
    Right: bars of how often each of the sixteen codes is used at each of two positions, all of them in use.""",
)

# %% [markdown]
# ## The claim, and what was measured
#
# *A VQ-VAE combines autoencoders and discrete representations*: it does, and its likelihood is no mystery. The sum
# over codes is exact while there are at most $10^5$ of them; the bound at the nearest code is honest and some nats
# low; the reconstruction is neither. The prior over codes is worth about as much as the code that it prices.
#
# One data set, one seed, two codes of sixteen.
