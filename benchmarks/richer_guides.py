"""What richer guides gain beneath a frozen VAE of the digits with 2 latents, of which log p(x) is known by quadrature.

Each is built `around` the trained guide and trained on; so is a copy of that guide itself, to say what the epochs alone
are worth. Bars: the 95 % interval of the gain over the trained guide, paired by digit, is above zero for planar, IAF
and coupling flows; no gain is above the room, log p(x) − ELBO; 20 steps of a semi-amortized guide gain half of it.
"""

import copy
from collections.abc import Callable

import torch

from benchmarks.clock import now
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import (
    AmortizedFullNormal,
    AmortizedMixture,
    AmortizedNormal,
    FlowGuide,
    PlanarGuide,
    SemiAmortized,
)
from elbowroom.inference import Estimate, Target, decompose, fit, importance, quadrature, retrain_guide
from elbowroom.models import VAE

NETS = {"hidden": (64, 64), "activation": "softplus"}
ITSELF = "the trained guide itself"
STEPS = (5, 20, 80)
_SAMPLES = 1000

GUIDES: dict[str, Callable[[AmortizedNormal], torch.nn.Module]] = {
    ITSELF: copy.deepcopy,
    "full covariance": lambda guide: AmortizedFullNormal(64, 2, around=guide),
    "mixture of 4": lambda guide: AmortizedMixture(64, 2, around=guide),
    "planar, 8 layers": lambda guide: PlanarGuide(64, 2, around=guide),
    "IAF, 2 layers": lambda guide: FlowGuide(64, 2, kind="iaf", around=guide),
    "coupling, 2 layers": lambda guide: FlowGuide(64, 2, kind="coupling", around=guide),
    "spline, 2 layers": lambda guide: FlowGuide(64, 2, kind="spline", around=guide),
}
"""From the trained guide to one that begins there."""


def main() -> None:
    """Train a VAE, then each guide beneath it, and set every gain beside the room."""
    made = parser(__doc__)
    made.add_argument("--num-epochs", type=int, default=15, help="of each guide")
    made.add_argument("--first-epochs", type=int, default=350, help="of the VAE")
    made.add_argument("--num-data", type=int, default=360, help="test digits")
    made.add_argument("--guides", nargs="+", default=list(GUIDES), choices=list(GUIDES))
    few = {"num_epochs": 1, "first_epochs": 10, "num_data": 30, "guides": [ITSELF, "IAF, 2 layers"]}
    options = parsed(made, quick=few, long={"num_epochs": 80})
    data = load("digits", binarize="threshold")
    torch.manual_seed(0)
    model, guide = VAE(64, 2, **NETS), AmortizedNormal(64, 2, **NETS)
    training = {"validation": data.validation, "batch_size": 64, "learning_rate": 2e-3, "schedule": "cosine"}
    training |= {"device": options.device}
    fit(model, guide, data.train, num_epochs=options.first_epochs, **training)
    test = data.test[: options.num_data].to(options.device)
    target = Target(model.eval(), guide.eval(), test)
    exact, elbo = quadrature(target), elbo_of(target)
    room = float((exact.value - elbo.value).mean())
    after: dict[str, Estimate] = {}
    rows = [
        (f"log p(x) of {len(target)} test digits, nats", f"{exact.mean()[0]:.3f}"),
        ("ELBO of the trained guide", f"{float(elbo.value.mean()):.3f}; room {room:.3f}"),
    ]
    parts = decompose(target)
    for part in ("amortization", "approximation"):
        rows.append((f"{part} gap, by refining each digit", f"{float(getattr(parts, part).value.mean()):.3f}"))
    for name in options.guides:
        torch.manual_seed(1)
        begin = now(options.device)
        new = GUIDES[name](guide)
        found = retrain_guide(
            target, new, data.train, num_epochs=options.num_epochs, keep="best", num_samples=_SAMPLES, **training
        )
        rows.append((name, f"{gain(found.after, elbo, room)}; {now(options.device) - begin:.0f} s"))
        after[name] = found.after
        if name != ITSELF and ITSELF in after:
            rows.append((f"{name}, beyond {ITSELF}", gain(found.after, after[ITSELF], room)))
    for steps in STEPS:
        refined = elbo_of(Target(model, SemiAmortized(guide, model, num_steps=steps), test))
        rows.append((f"semi-amortized, {steps} steps", gain(refined, elbo, room)))
    title = f"Gain in ELBO of richer guides around a trained one, {options.num_epochs} epochs, digits, nats per datum"
    report("richer_guides", title, rows, options)


def elbo_of(target: Target) -> Estimate:
    """The guide's ELBO of each datum."""
    info = importance(target, num_samples=_SAMPLES, seed=1, search=False).info
    return Estimate(info["elbo"].cpu(), info["elbo_stderr"].cpu(), "lower")


def gain(new: Estimate, old: Estimate, room: float) -> str:
    """The mean gain, paired by digit, with its 95 % interval, and as a share of the room."""
    paired = new.value.cpu() - old.value.cpu()
    mean, half = float(paired.mean()), 1.96 * float(paired.std()) / len(paired) ** 0.5
    return f"{mean:+.3f} ({mean - half:+.3f} … {mean + half:+.3f}), {100 * mean / room:.0f} % of the room"


if __name__ == "__main__":
    main()
