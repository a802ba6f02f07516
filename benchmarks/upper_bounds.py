"""How wide are upper bounds on log p(x) at equal cost: `upper-1`, of two halves, against `struski-K`, of groups of K?

Weights of a guide that is too narrow, and log-normal ones, E w = 1; means over many data of bound − log p(x), and the
spread of a single one.
"""

from collections.abc import Iterator

import torch

from benchmarks.heavy_weights import Draw, lognormal, quadratic
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.inference import weights
from elbowroom.inference.weights.power_means import power_sums, tangent
from elbowroom.inference.weights.ratio_bound import ratio_upper
from elbowroom.inference.weights.running import Ratios

NUM_SAMPLES = 1000
GROUPS = (2, 5, 10, 50, 100, 250)
GUIDES: dict[str, Draw] = {
    "too narrow, index 0.2": quadratic(0.2),
    "too narrow, index 0.36": quadratic(0.36),
    "five latents too narrow, index 0.2": quadratic(*[0.2] * 5),
    "log-normal, sd 0.5": lognormal(0.5),
    "log-normal, sd 1": lognormal(1.0),
}


def rows(num_data: int) -> Iterator[tuple[str, str]]:
    """The lower bound, ours and theirs for each guide."""
    for name, draw in GUIDES.items():
        log_w = draw(NUM_SAMPLES, num_data)
        yield f"{name}: log p̂, the lower bound", _line(weights.log_marginal(log_w))
        yield f"{name}: upper-1", _line(tangent(power_sums(log_w, 1.0))[0])
        for k in GROUPS:
            ratios = Ratios.empty(torch.zeros(num_data))
            ratios.add(weights.grouped(log_w, k))
            yield f"{name}: struski-{k}", _line(ratio_upper(ratios.sums())[0])


def _line(value: torch.Tensor) -> str:
    return f"{value.mean():+.4f} ± {value.std() / len(value) ** 0.5:.4f}, spread {value.std():.4f}"


def main() -> None:
    """All of them in float64, from one seed."""
    made = parser(__doc__)
    made.add_argument("--num-data", type=int, default=2000)
    options = parsed(made, quick={"num_data": 200})
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    with options.device:
        found = list(rows(options.num_data))
    title = f"Upper bounds less log p(x) from the same {NUM_SAMPLES} weights, means over {options.num_data} data, nats"
    report("upper_bounds", title, found, options)


if __name__ == "__main__":
    main()
