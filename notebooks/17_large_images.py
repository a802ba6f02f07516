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
# # Does it work at 256 × 256?
#
# An image of 256 × 256 grey levels is one of $256^{65536} \approx 10^{157826}$; a hundred latents are to be
# integrated out. It is often said that this is where $p(x)$ is out of reach for good. Out of reach of a lattice, yes.
# The question here is a plainer one: what do training, bounds and an interpolation cost at this size, on a laptop's
# processor, and what can be said of the room?

# %%
import resource
import time

import matplotlib.pyplot as plt
import torch

from claims import record
from elbowroom.guides import ConvolutionalNormal
from elbowroom.inference import Target, fit, importance
from elbowroom.models import ConvolutionalVAE
from figures import show

SIDE, NUM_LATENTS = 256, 100

# %% [markdown]
# ## 1 Data that can be made
#
# White shapes on black: a disc, a square or a ring, of random place and size. Four numbers and a kind: a posterior
# over a hundred latents should need few of them.


# %%
def shapes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    centre = 0.3 + 0.4 * torch.rand(count, 2, 1, 1, generator=generator)
    radius = 0.08 + 0.12 * torch.rand(count, 1, 1, generator=generator)
    kind = torch.randint(3, (count, 1, 1), generator=generator)
    line = torch.linspace(0, 1, SIDE)
    dy, dx = (line[:, None] - centre[:, 0]).abs(), (line[None, :] - centre[:, 1]).abs()
    distance = torch.where(kind == 1, torch.maximum(dx, dy), (dx.square() + dy.square()).sqrt())
    inside = (distance < radius) & ((kind != 2) | (distance > radius / 2))
    return inside.float().unsqueeze(1)


train, test = shapes(256, seed=0), shapes(16, seed=1)

# %% [markdown]
# ## 2 Training
#
# Bernoulli pixels, so that the numbers are log-likelihoods of these images; strided convolutions without
# normalisation layers, so that the code of an image is its own, whatever else is in the batch.

# %%
torch.manual_seed(0)
image = {"image_shape": (1, SIDE, SIDE)}
model = ConvolutionalVAE(SIDE * SIDE, NUM_LATENTS, **image)
guide = ConvolutionalNormal(SIDE * SIDE, NUM_LATENTS, **image)
curve = []


def on_epoch(state):
    target = Target(state.model, state.guide, test)
    curve.append(importance(target, num_samples=4, search=False).info["elbo"].mean().item())


fitted = fit(model, guide, train, num_epochs=4, batch_size=16, learning_rate=1e-3, on_epoch=on_epoch, progress=False)
print(f"{fitted.num_steps} steps of 16 images: {fitted.seconds / fitted.num_steps:.2f} s each, with the ELBOs of tests")
print("ELBO of test images after each epoch:", ", ".join(f"{value:.0f}" for value in curve), "nats")
assert curve[-1] > curve[0], "training should raise the ELBO"

# %% [markdown]
# ## 3 Bounds, within a budget of memory
#
# 64 importance samples of 16 images are 67 million pixels; the byte budget says how many of them are held at a time.

# %%
target = Target(model.eval(), guide.eval(), test)
began = time.perf_counter()
estimate = importance(target, num_samples=64, memory_bytes=2**28, search=False)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
elbo = estimate.info["elbo"].mean().item()
print(f"64 samples of {len(test)} images in {seconds:.1f} s; the process has held {peak:.1f} GiB at most")
print(f"ELBO {elbo:.1f}, log p(x) of 64 samples {estimate.mean()[0]:.1f} nats; ", end="")
print(f"{sum(bool(flag) for flag in estimate.flags)} of {len(test)} images flagged")
print("the first of the flags:", next(flag for flag in estimate.flags if flag))
assert estimate.mean()[0] >= elbo
assert peak < 3, "training and evaluation should fit into a laptop's memory"
lost = estimate.value - estimate.info["elbo"]
record(
    "C37",
    verdict="true",
    number=lost.mean(),
    error=1.96 * lost.std() / len(lost) ** 0.5,
    unit="nats",
    measured="log p(x) by 64 weighted draws less the ELBO, 65 536 pixels and 100 latents",
    error_of=f"95 % over {len(lost)} images",
    holds="made shapes, four epochs: it runs within a laptop's memory and minutes; every number is flagged, because "
    "64 draws cannot be enough",
)
assert all(estimate.flags), "64 draws cannot be enough for a hundred latents, and each number should say so"

# %% [markdown]
# The flags are the point. That a number was computed at this size is no wonder; whether it can be believed is another
# matter, and here it cannot: the room between the two lower bounds is what 64 draws see of it.
#
# ## 4 A walk between two images

# %%
with torch.no_grad():
    ends = guide.encode(test[:2]).mean
    line = torch.linspace(0, 1, 6)[:, None]
    walk = model.decode(ends[0] + line * (ends[1] - ends[0])).mean.reshape(6, SIDE, SIDE)
assert torch.allclose(walk[0], model.decode(ends[0]).mean.detach().reshape(SIDE, SIDE), atol=1e-5)
frames = [test[0, 0], *walk, test[1, 0]]
figure, axes = plt.subplots(1, len(frames), figsize=(9.0, 1.5))
for axis, frame in zip(axes, frames, strict=True):
    axis.imshow(frame, cmap="gray_r", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
axes[0].set_title("image", fontsize=9)
axes[-1].set_title("image", fontsize=9)
figure.suptitle("From one code to another: what the model decodes on the way", x=0.01, ha="left", fontsize=11)
show(
    figure,
    "Eight images in a row: a test image, six decoded on the straight line between two codes, another test image.",
)

# %% [markdown]
# ## The claim, and what was measured
#
# *At 256 × 256 the integral is out of reach.* A lattice is. Steps, bounds from below and pictures are not: the
# seconds and the memory are printed above, by the machine that this ran on. What does get harder with size is to know
# how good a bound is: with a hundred latents and four epochs a few of the importance weights are all that counts, and
# each number says so.
