"""What a network says about counts: their mean, and how far they vary about it.

    mean μ and inverse dispersion θ: variance μ + μ²/θ             scvi's px_rate and px_r; statsmodels' α is 1/θ
    torch's total_count r, with probs p or logits l of a success:  θ = r,  μ = r p / (1 − p) = r exp l

and behind these g, the logit of an extra zero: scvi's px_dropout or zi_logits, Pyro's gate_logits.
"""

from torch import Tensor

from elbowroom.networks.outputs import Output, Read, as_said, logit_of_probs, one_called, positive

_LOG_MEAN, _MEAN = ("log_mean", "log_mu", "log_rate"), ("px_rate", "mu", "mean", "rate")
_THETA = ("px_r", "theta", "inverse_dispersion")
_LOG_THETA = ("log_theta", "log_px_r")
_GATE = ("px_dropout", "zi_logits", "gate_logits")


def poisson_outputs() -> dict[str, Output]:
    """What is said of counts that have a mean and nothing else, which becomes (log μ)."""
    logarithm = {"log_rate": Output(one_called(*_LOG_MEAN), as_said)}
    return logarithm | {name: Output(one_called(*_MEAN), _mean(name, "log_rate")) for name in ("rate", "mean")}


def negative_binomial_outputs() -> dict[str, Output]:
    """What is said of counts with a dispersion: the mean alone, which becomes (log μ), or both, (log μ, log θ)."""
    return {
        "log_mean": Output(one_called(*_LOG_MEAN), as_said),
        "mean": Output(one_called(*_MEAN), _mean("mean", "log_mean")),
        "mean_theta": Output((_MEAN, _THETA), _mean_theta, broadcasts=True),
        "mean_log_theta": Output((_MEAN, _LOG_THETA), _mean_log_theta, broadcasts=True),
        "log_mean_theta": Output((_LOG_MEAN, _THETA), _log_mean_theta, broadcasts=True),
        "log_mean_log_theta": Output((_LOG_MEAN, _LOG_THETA), as_said, broadcasts=True),
        "total_count_logits": Output((("total_count",), ("logits",)), _total_count_logits, broadcasts=True),
        "total_count_probs": Output((("total_count",), ("probs",)), _total_count_probs, broadcasts=True),
    }


def zero_inflated_outputs() -> dict[str, Output]:
    """The same with a gate behind: (log μ, g), or (log μ, g, log θ)."""
    return {f"{name}_gate": _with_gate(output) for name, output in negative_binomial_outputs().items()}


def says_dispersion(name: str) -> bool:
    """Whether a way to say counts, by its name, says θ."""
    return "theta" in name or "total_count" in name


def log_of_theta(argument: str, theta: Tensor, hint: str = "") -> Tensor:
    """log θ.

    Raises:
        ValueError: if θ is not positive and finite.
    """
    low, high = (limit.item() for limit in theta.detach().aminmax())
    if not (low > 0 and high < float("inf")):  # NaN fails too
        raise ValueError(
            f"{argument}: got an inverse dispersion θ between {low:.4g} and {high:.4g}, expected positive, finite "
            f"numbers{hint}"
        )
    return theta.log()


def _with_gate(output: Output) -> Output:
    def read(argument: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        log_mean, *log_theta = output.read(argument, *tensors[:-1])
        return (log_mean, tensors[-1], *log_theta)

    return Output((*output.parts, _GATE), read, output.broadcasts)


def _mean(output: str, log_output: str) -> Read:
    return lambda argument, mean: (positive(argument, mean, output, log_output),)


def _mean_theta(argument: str, mean: Tensor, theta: Tensor) -> tuple[Tensor, ...]:
    log_mean = positive(argument, mean, "mean_theta", "log_mean_theta")
    return log_mean, log_of_theta(argument, theta, "; of a network that returns log θ say output='mean_log_theta'")


def _log_mean_theta(argument: str, log_mean: Tensor, theta: Tensor) -> tuple[Tensor, ...]:
    hint = "; of a network that returns log θ say output='log_mean_log_theta'"
    return log_mean, log_of_theta(argument, theta, hint)


def _mean_log_theta(argument: str, mean: Tensor, log_theta: Tensor) -> tuple[Tensor, ...]:
    return positive(argument, mean, "mean_log_theta", "log_mean_log_theta"), log_theta


def _total_count_logits(argument: str, total_count: Tensor, logits: Tensor) -> tuple[Tensor, ...]:
    log_theta = log_of_theta(argument, total_count, ", as torch's total_count is")
    return log_theta + logits, log_theta


def _total_count_probs(argument: str, total_count: Tensor, probs: Tensor) -> tuple[Tensor, ...]:
    logits = logit_of_probs(argument, probs, "total_count_probs", "total_count_logits")
    return _total_count_logits(argument, total_count, logits)
