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
# # Are the two ELBOs the same number?
#
# Every text writes the ELBO in two ways,
#
# $$E_q[\log p(x, z) - \log q(z|x)] \;=\; E_q[\log p(x|z)] - \mathrm{KL}(q(z|x)\,\|\,p(z)),$$
#
# and for Gaussians the KL has a closed form, $\tfrac12 \sum (\mu^2 + \sigma^2 - \log\sigma^2 - 1)$. It is often said
# that the second is the better estimator, since a part of it is exact. That they have one mean is an identity, and
# is tested here datum by datum. Which of them has less noise is a question of where $q$ is.

# %%
import matplotlib.pyplot as plt
import torch

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal, ExactPosterior
from elbowroom.inference import Target, fit
from elbowroom.models import PPCA, VAE
from elbowroom.report import look
from figures import name_line, show

binary, grey = load("digits", binarize="threshold"), load("digits")
NUM_SAMPLES = 4000

# %% [markdown]
# ## 1 Datum by datum, from the same draws


# %%
def both(target, guide, x):
    """Draws of both integrands, `[S, B]`: log w, and log p(x|z) less the closed form of the KL; and of the KL alone."""
    with torch.no_grad():
        z, log_q = target.propose(NUM_SAMPLES)
        prior, likelihood = target.log_joint(z)
        q = guide.encode(x)
    mean, variance = q.mean.double(), q.variance.double()
    closed = 0.5 * (mean.square() + variance - variance.log() - 1).sum(-1)  # [B]
    return (prior + likelihood - log_q).double(), (likelihood - closed).double(), (log_q - prior).double() - closed


def trained(num_epochs):
    torch.manual_seed(0)
    model, guide = VAE(64, 10), AmortizedNormal(64, 10)
    settings = {"batch_size": 64, "learning_rate": 3e-3, "schedule": "cosine", "progress": False}
    if num_epochs:
        fit(model, guide, binary.train, num_epochs=num_epochs, **settings)
    return model.eval(), guide.eval()


model, guide = trained(60)
some = binary.test[:120]
first, second, kl_error = both(Target(model, guide, some), guide, some)
gap = (first - second).mean(0)
gap_error = (first - second).std(0) / NUM_SAMPLES**0.5
sigmas = gap / gap_error
print(
    f"ELBO {first.mean():.3f} and {second.mean():.3f} nats; digit by digit they differ by {sigmas.std():.2f} "
    f"standard errors"
)
print(f"({(sigmas.abs() < 2).double().mean():.1%} within two; by chance 95.4 %), {sigmas.abs().max():.1f} at most")
assert 0.8 < sigmas.std() < 1.2, "the difference should be noise of the size that its error says"
assert sigmas.abs().max() < 4.5, "no digit should be an exception"
kl_sigmas = kl_error.mean(0) / (kl_error.std(0) / NUM_SAMPLES**0.5)
assert kl_sigmas.abs().max() < 4.5, "the closed form of the KL is the mean of log q − log p(z)"

# %% [markdown]
# ## 2 Which has less noise?
#
# The variance of one draw, before training and after it, digit by digit.


# %%
def ratio(model, guide, x):
    """Variance of the first form in that of the second, its median and spread over digits."""
    first, second, _ = both(Target(model, guide, x), guide, x)
    return first.var(0) / second.var(0)


ratios = {name: ratio(*trained(epochs), some) for name, epochs in {"untrained": 0, "1 epoch": 1, "5 epochs": 5}.items()}
ratios["60 epochs"] = first.var(0) / second.var(0)
for name, values in ratios.items():
    log = values.log()
    middle, error = log.mean().exp(), 1.96 * log.std() / len(log) ** 0.5
    print(
        f"{name:9s} the first form has {middle:.2f} times the second's variance (± {100 * error:.0f} %, 95 % over "
        f"digits)"
    )
    assert middle * (1 + error) < 1 or name == "untrained", "from the first epoch on the first form has less noise"
assert ratios["untrained"].min() > 1, "before training nothing depends on z but the KL's own terms"

# %% [markdown]
# And where $q$ is the posterior? Then $\log w$ is $\log p(x)$ whatever $z$ is drawn, so the first form has no
# noise at all; the second adds to a number that varies one that does not.

# %%
ppca = PPCA.fit_closed_form(grey.train, 10)
exact_guide = ExactPosterior(ppca)
target = Target(ppca, exact_guide, grey.test[:120])
with torch.no_grad():
    z, log_q = target.propose(NUM_SAMPLES)
    prior, likelihood = target.log_joint(z)
log_w = (prior + likelihood - log_q).double()
closed = torch.distributions.kl_divergence(
    exact_guide.encode(grey.test[:120]), torch.distributions.MultivariateNormal(torch.zeros(10), torch.eye(10))
)
other = likelihood.double() - closed.detach().double()
print(f"PPCA with its exact posterior: sd of one draw {log_w.std(0).mean():.5f} nats by the first form, ", end="")
print(f"{other.std(0).mean():.2f} by the second; log p(x) {ppca.log_prob(grey.test[:120]).mean():.2f}, means ", end="")
print(f"{log_w.mean():.2f} and {other.mean():.2f}")
assert log_w.std(0).max() < 1e-2, "with the posterior as q every weight is the same"
assert other.std(0).mean() > 1, "and the second form is as noisy as ever"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
left.plot(first.mean(0), second.mean(0), **look("bound", linestyle="", markersize=4))
ends = [float(first.mean(0).min()), float(first.mean(0).max())]
left.plot(ends, ends, **look("exact", marker="", linewidth=1))
left.set(xlabel="mean of log w, nats", ylabel="mean of log p(x|z), less KL, nats")
left.set_title("One number for each digit, two ways")
styles = (look("data"), look("sampled"), look("draws"), look("guide"))
heights = (0.5, 0.75, 0.5, 0.02)
for (name, values), style, height in zip(ratios.items(), styles, heights, strict=True):
    sorted_values = values.sort().values
    share = torch.linspace(0, 1, len(values))
    right.plot(sorted_values, share, **{**style, "marker": ""})
    name_line(right, sorted_values[int(height * len(values))], height, name, style)
right.axvline(1, color="black", linewidth=0.8, linestyle=":")
right.set(xscale="log", xlabel="variance of log w in that of the other form", ylabel="share of the digits")
right.set_title("Left of 1 the first form has less noise")
show(
    figure,
    """Left: the ELBO of 120 digits by both forms, all on the diagonal. Right: the share of digits against the ratio
    of the two variances: far right of 1 for the untrained pair, left of 1 for the curves after 1, 5 and 60 epochs.""",
)

# %% [markdown]
# ## What was measured
#
# - *The two forms are equal.* Digit by digit, to the noise of 4000 draws; and the closed form of the KL is the mean of
#   $\log q - \log p(z)$.
# - *The closed form has less noise.* Of an untrained pair, by far: its likelihood hardly depends on $z$. From the first
#   epoch on it was the other way round: $\log p(x|z)$ and $\log p(z) - \log q(z|x)$ pull against each other, and
#   who puts a constant in the place of one keeps all the noise of the other. In the limit the first form has no noise
#   at all. That is also why sticking the landing (notebook 06) gets quieter as $q$ gets better.
#
# A VAE of ten latents on digits, PPCA with ten; one seed, the variance of the value and not of its gradient.
