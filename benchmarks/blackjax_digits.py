"""The digits VAE's posterior in jax.numpy, and BlackJAX's NUTS, HMC and LAPS on it, vmapped over chains and data.

Needs jax and blackjax (`pip install elbowroom[benchmarks]`).
"""

from collections.abc import Callable
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import laps_digits
from elbowroom.inference import Target
from elbowroom.models import VAE

Sampler = Callable[[int], Tensor]
"""seed -> draws `[C, T, B, D]`."""


def samplers(model: VAE, x: Tensor, *, num_chains: int, num_warmup: int, num_draws: int) -> dict[str, Sampler]:
    """BlackJAX's samplers by name; each adapts step size and diagonal metric for each chain by itself.

    Chains start from draws of the prior. Warm-up is `window_adaptation` with its defaults (target acceptance 0.8).
    Those of LAPS adapt together (`laps_digits.py`); it makes one or three steps a draw, not the 15 of its defaults,
    which are for many latents and a sixth as fast here.
    """
    log_joint, data = density(model), jnp.asarray(x.cpu().numpy())

    def made(algorithm: Any, **fixed: int) -> Sampler:
        def chain(key: jax.Array, start: jax.Array, datum: jax.Array) -> jax.Array:
            def log_p(z: jax.Array) -> jax.Array:
                return log_joint(z, datum)

            warming, drawing = jax.random.split(key)
            adaptation = blackjax.window_adaptation(algorithm, log_p, adaptation_info_fn=_nothing, **fixed)
            (state, tuned), _ = adaptation.run(warming, start, num_warmup)
            step = algorithm(log_p, **tuned).step

            def draw(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
                state, _ = step(key, state)
                return state, state.position

            return jax.lax.scan(draw, state, jax.random.split(drawing, num_draws))[1]

        over_chains = jax.vmap(chain, in_axes=(0, 0, None))
        compiled = jax.jit(jax.vmap(over_chains))

        def run(seed: int) -> Tensor:
            starting, running = jax.random.split(jax.random.key(seed))
            shape = (len(data), num_chains)
            start = jax.random.normal(starting, (*shape, model.latent_dim), data.dtype)
            draws = compiled(jax.random.split(running, shape), start, data)
            return torch.from_numpy(np.array(draws)).permute(1, 2, 0, 3)  # [B, C, T, D] to [C, T, B, D]

        return run

    def together(num_steps: int) -> Sampler:
        sizes = {"num_chains": num_chains, "num_warmup": num_warmup, "num_draws": num_draws, "num_steps": num_steps}
        return laps_digits.sampler(log_joint, data, model.latent_dim, **sizes)

    return {
        "BlackJAX NUTS": made(blackjax.nuts),
        **{f"BlackJAX HMC, {n} leapfrogs": made(blackjax.hmc, num_integration_steps=n) for n in (2, 3, 5)},
        **{f"BlackJAX LAPS, {n} {'step' if n == 1 else 'steps'}": together(n) for n in (1, 3)},
    }


def density(model: VAE) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """log p(x, z) of one datum x `[P]` at z `[D]`, with the model's weights."""
    layers = [layer for layer in model.decoder.modules() if isinstance(layer, nn.Linear)]
    weights = [tuple(jnp.asarray(p.detach().cpu().numpy()) for p in (layer.weight, layer.bias)) for layer in layers]

    def log_joint(z: jax.Array, x: jax.Array) -> jax.Array:
        hidden = z
        for weight, bias in weights[:-1]:
            hidden = jax.nn.softplus(weight @ hidden + bias)
        logits = weights[-1][0] @ hidden + weights[-1][1]
        prior = -0.5 * (z @ z) - 0.5 * len(z) * jnp.log(2 * jnp.pi)
        return prior - jax.nn.softplus((1 - 2 * x) * logits).sum()

    return log_joint


def check_density(model: VAE, target: Target, x: Tensor) -> float:
    """The largest difference to `Target.log_joint` at draws of the guide, relative to its size.

    Raises:
        ValueError: if it is more than 1e-5.
    """
    z, _ = target.propose(20)
    ours = sum(target.log_joint(z)).detach().cpu()
    over_samples = jax.vmap(jax.vmap(density(model), in_axes=(0, 0)), in_axes=(0, None))
    theirs = torch.from_numpy(
        np.array(over_samples(jnp.asarray(z["z"].detach().cpu().numpy()), jnp.asarray(x.cpu().numpy())))
    )
    worst = ((ours - theirs).abs() / ours.abs().clamp_min(1)).max().item()
    if not worst <= 1e-5:
        raise ValueError(f"the density in jax.numpy differs from the model's by {worst:.1e}")
    return worst


def _nothing(state: Any, info: Any, adaptation_state: Any) -> tuple[()]:
    return ()
