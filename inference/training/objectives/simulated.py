"""Data that the model draws, and log q of the latents that made them: the sleep of wake-sleep."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.handlers import Set
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.simulate import Observe, put_back
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.runs import Programs, by_datum, num_data_of, random_sites, trace_of


def log_q_of_simulated(setting: Setting, programs: Programs) -> Tensor:
    """log q(z | x) of a fresh (z, x) from the model for each datum of the minibatch, `[B]`, nats.

    Masks, labels and whatever else the programs are called with stay as they are.

    Raises:
        ValueError: naming the sites, if z is not all that the guide draws.
        ProgramError: if it cannot be told which argument an observed value is.
    """
    if auxiliary := setting.structure.auxiliary:
        raise ValueError(
            f"the guide draws by way of {list(auxiliary)}, so log q of latents that the model drew is not at hand: use "
            "loss_options={'phi': 'wake'}, or a guide that draws the latents themselves"
        )
    single = replace(setting, num_particles=1)
    observe = Observe(tuple(setting.structure.given))
    with torch.no_grad():
        drawn = trace_of(single, programs, programs.model, observe)
    named: dict[Any, Any] = dict(enumerate(programs.args)) | programs.kwargs
    for name, value in observe.drawn.items():
        named |= put_back(named, name, observe.given[name], value, observe.counted[name])
    args = tuple(named[i] for i in range(len(programs.args)))
    asleep = programs._replace(args=args, kwargs={k: v for k, v in named.items() if k in programs.kwargs})
    latents = {name: drawn.nodes[name]["value"] for name in setting.structure.latents}
    trace = trace_of(single, asleep, asleep.guide, Set(latents))
    add = by_datum(single, drawn)  # an empty guide has no plate
    terms = [add(site_log_prob(site) * site["scale"]) for site in random_sites(trace)]
    return sum(terms, torch.zeros(1, num_data_of(single, drawn))).sum(0)
