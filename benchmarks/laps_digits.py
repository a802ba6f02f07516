"""BlackJAX's late-adjusted parallel sampler (LAPS, Robnik et al. 2026, arXiv 2601.16696) on every datum at once.

An ensemble of chains shares what it learns: it is burned in with unadjusted microcanonical dynamics, then adjusted by
Metropolis steps. `blackjax.adaptation.laps.laps` compiles anew at each call and takes one density, so here its parts
(kernels, adaptations, their steps and stopping rule) are put together in its order, in one program over all data. The
draws are the second half of the adjusted phase, which it adapts in the first.

Needs jax and blackjax (`pip install elbowroom[benchmarks]`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from blackjax.adaptation import laps, laps_burn_in
from blackjax.eca import eca_step, while_with_info
from blackjax.mcmc import adjusted_mclmc
from blackjax.mcmc.hmc import HMCState
from blackjax.mcmc.integrators import (
    IntegratorState,
    generate_isokinetic_integrator,
    mclachlan_coefficients,
)
from torch import Tensor

ENSEMBLE = 64
"""Chains that adapt together."""

_ALPHA, _C, _END, _BIAS, _SAVED, _ACCEPTANCE, _PARTIAL = 1.9, 0.1, 0.01, 3, 0.2, 0.7, 1.25
"""The defaults of `laps` for fewer than 200 latents."""

LogJoint = Callable[[jax.Array, jax.Array], jax.Array]


def sampler(
    log_joint: LogJoint, data: jax.Array, dim: int, *, num_chains: int, num_warmup: int, num_draws: int, num_steps: int
) -> Callable[[int], Tensor]:
    """A function from a seed to draws `[C, T, B, D]`, C T as many as the ensemble's, its chains laid end to end.

    Args:
        log_joint: log p(x, z) of one datum, at (z `[D]`, x).
        data: `[B, ...]`.
        dim: D.
        num_chains, num_draws: C and T.
        num_warmup: steps of the first phase at most.
        num_steps: integration steps of a draw.
    """
    kept = -(-num_chains * num_draws // ENSEMBLE)

    def of_datum(key: jax.Array, datum: jax.Array) -> jax.Array:
        def log_p(z: jax.Array) -> jax.Array:
            return log_joint(z, datum)

        starting, burning, adjusting = jax.random.split(key, 3)
        state = _start(log_p, jax.random.normal(starting, (ENSEMBLE, dim), data.dtype))
        # Psums over devices are sums over an axis of one.
        on_devices = jax.vmap(lambda s: _run(log_p, s, burning, adjusting, dim, num_warmup, num_steps, kept), **_ONE)
        draws = on_devices(jax.tree.map(lambda leaf: leaf[None], state))[0]  # [T', E, D]
        return draws.swapaxes(0, 1).reshape(-1, dim)[: num_chains * num_draws].reshape(num_chains, num_draws, dim)

    compiled = jax.jit(jax.vmap(of_datum))

    def run(seed: int) -> Tensor:
        draws = compiled(jax.random.split(jax.random.key(seed), len(data)), data)
        return torch.from_numpy(np.array(draws)).permute(1, 2, 0, 3)  # [B, C, T, D] to [C, T, B, D]

    return run


_ONE: Any = {"axis_name": "chains", "axis_size": 1}


def _start(log_p: Callable[[jax.Array], jax.Array], z: jax.Array) -> IntegratorState:
    """Velocities along the gradient, or against it, as equipartition has it (`laps_burn_in.initialize`)."""
    value, gradient = jax.vmap(jax.value_and_grad(log_p))(z)
    velocity = gradient / jnp.linalg.norm(gradient, axis=-1, keepdims=True)
    signs = jnp.where((-z * gradient).mean(0) < 1.0, -1.0, 1.0)
    return IntegratorState(z, signs * velocity, value, gradient)


def _run(
    log_p: Callable[[jax.Array], jax.Array],
    state: IntegratorState,
    burning: jax.Array,
    adjusting: jax.Array,
    dim: int,
    num_warmup: int,
    num_steps: int,
    kept: int,
) -> jax.Array:
    """Both phases; positions `[T', E, D]`."""
    # Unadjusted, until the ensemble's averages fluctuate no more than they should.
    adaptation = laps_burn_in.Adaptation(
        dim,
        microcanonical=True,
        alpha=_ALPHA,
        bias_type=_BIAS,
        save_num=round(_SAVED * num_warmup),
        C=_C,
        r_end=_END,
    )
    step = eca_step(
        laps_burn_in.build_kernel(log_p, dim), adaptation.summary_statistics_fn, adaptation.update, ENSEMBLE
    )
    begin = (state, adaptation.initial_state)
    (state, tuned), _, _ = while_with_info(step, begin, _keys(burning, num_warmup), num_warmup, adaptation.while_cond)
    # Adjusted, with the metric of the first phase.
    metric = tuned.inverse_mass_matrix
    kernel = adjusted_mclmc.build_kernel(integrator=generate_isokinetic_integrator(mclachlan_coefficients))

    def adjusted(key: jax.Array, state: HMCState, adapted: Any) -> Any:
        return kernel(
            rng_key=key,
            state=state,
            logdensity_fn=log_p,
            step_size=adapted.step_size,
            integration_steps_params=(adapted.steps_per_sample,),
            inverse_mass_matrix=metric,
            L_proposal_factor=_PARTIAL,
        )

    tuned = tuned._replace(step_size=tuned.step_size / jnp.sqrt(metric.mean()))
    late = laps.Adaptation(tuned, kept, num_steps, _ACCEPTANCE)
    step = eca_step(adjusted, late.summary_statistics_fn, late.update, ENSEMBLE, all_chains_info=lambda z: z)
    begin = (HMCState(state.position, state.logdensity, state.logdensity_grad), late.initial_state)
    _, told = jax.lax.scan(step, begin, _keys(adjusting, 2 * kept))
    return told["all_chains_info"][kept:]


def _keys(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What `run_eca` scans over: the steps' numbers, keys of the chains and keys of the adaptation."""
    moving, adapting = jax.random.split(key)
    return jnp.arange(count), jax.random.split(moving, (count, ENSEMBLE)), jax.random.split(adapting, count)
