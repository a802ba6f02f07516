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
# # When are latents ignored, and what do the others mean?
#
# "Sometimes the model ignores the latent variables": posterior collapse. The remedies are schedules of the KL term's
# weight. And of the latents that are used it is often said that they are meaningful codes, and that walking between two
# of them is smooth. Each of these is a number.

# %%
import matplotlib.pyplot as plt
import torch

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, bracket, fit, importance, latent_use
from elbowroom.models import VAE

data = load("digits", binarize="threshold")
NUM_LATENTS = 16
WAYS = {
    "no schedule": {},
    "linear warm-up": {"warmup_epochs": 40},
    "cyclical": {"kl_weight": "cyclical", "num_cycles": 4},
    "free bits": {"free_bits": 0.1},
}


def trained(**options):
    torch.manual_seed(0)
    model, guide = VAE(64, NUM_LATENTS), AmortizedNormal(64, NUM_LATENTS)
    settings = {"num_epochs": 80, "batch_size": 64, "learning_rate": 2e-3, "schedule": "cosine", "progress": False}
    fit(model, guide, data.train, **settings, **options)
    return model.eval(), guide.eval()


programs = {name: trained(**options) for name, options in WAYS.items()}

# %% [markdown]
# ## 1 Active units, and what they are worth
#
# A latent is active where the means of $q$ move with the datum (Burda et al. 2016, variance above 0.01). The evaluation
# is the same whatever the training: ELBO at weight one, $\log p(x)$ from both sides for every ninth test digit.

# %%
activity, rows = {}, {}
for name, pair in programs.items():
    target = Target(*pair, data.test)
    activity[name] = latent_use(target).activity.value.flatten().sort(descending=True).values
    both = bracket(Target(*pair, data.test[::9]), budget=60)
    assert both.settled.all(), f"the two sides of {name} should meet"
    log_p = (both.lower.value + both.upper.value) / 2
    elbo = importance(target, num_samples=200, search=False).info["elbo"].mean().item()
    rows[name] = (int((activity[name] > 0.01).sum()), elbo, log_p)
    print(f"{name:15s} {rows[name][0]:2d} of {NUM_LATENTS} active, ELBO {elbo:.2f}, log p(x) {log_p.mean():.2f}")
active = {name: row[0] for name, row in rows.items()}
assert max(active.values()) > active["no schedule"], "a schedule should wake latents"
