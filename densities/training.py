"""Minibatches, Adam, and the parameters that were best on validation data."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from elbowroom.entrances.values import check_above, check_choice, check_size
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.training.schedule import SCHEDULES

Loss = Callable[[Tensor, torch.Generator], Tensor]
"""Data `[b, P]` and where random numbers come from, to a loss of each datum `[b]`."""


def minimise(
    module: nn.Module,
    loss: Loss,
    x: Tensor,
    validation: Tensor | None = None,
    *,
    num_epochs: int = 100,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: str = "cosine",
    validation_loss: Loss | None = None,
    after_step: Callable[[], object] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> list[dict[str, float]]:
    """Minimise the mean loss by AdamW (Loshchilov & Hutter 2019); the module ends in evaluation mode.

    With validation data the parameters of the epoch whose validation loss was lowest are kept.

    Args:
        module: whose parameters are fitted.
        loss: of each datum; minus log p(x), or an upper bound on it, in nats.
        x: data `[N, P]`.
        validation: data `[M, P]`.
        num_epochs, batch_size, learning_rate: as of `elbowroom.inference.fit`.
        weight_decay: of AdamW.
        schedule: of the learning rate, a name in `inference.training.schedule.SCHEDULES`.
        validation_loss: by default `loss`; called in evaluation mode with the same random numbers at every epoch.
        after_step: called after every step, such as for a running mean of the parameters.
        seed: of the order of the data and of what the loss draws.
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        For each epoch `train_loss` and, with validation data, `validation_loss`, in nats per datum.

    Raises:
        TypeError, ValueError: if an option is out of range.
        FloatingPointError: if the loss is not finite; the parameters are those of the best epoch before.
    """
    check_size("num_epochs", num_epochs), check_size("batch_size", batch_size)
    rate = SCHEDULES[check_choice("schedule", schedule, SCHEDULES)]
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=check_above("learning_rate", learning_rate, 0.0), weight_decay=weight_decay
    )
    generator = torch.Generator(x.device).manual_seed(seed)
    per_epoch = -(-len(x) // batch_size)
    history: list[dict[str, float]] = []
    best, kept = torch.inf, copy.deepcopy(module.state_dict())
    with progress_bar(num_epochs, "training", "epoch", progress) as tick:
        for epoch in range(num_epochs):
            module.train()
            order, total = torch.randperm(len(x), generator=generator, device=x.device), 0.0
            for step, rows in enumerate(order.split(batch_size)):
                optimiser.param_groups[0]["lr"] = learning_rate * rate(
                    (epoch * per_epoch + step) / (num_epochs * per_epoch)
                )
                value = loss(x[rows], generator).mean()
                if not bool(value.isfinite()):
                    module.load_state_dict(kept)
                    raise FloatingPointError(
                        f"the loss is {value.item()} in epoch {epoch + 1}, step {step + 1}: try a learning_rate below "
                        f"{learning_rate:g}; the parameters are those of the best epoch before"
                    )
                optimiser.zero_grad(set_to_none=True)
                value.backward()
                optimiser.step()
                if after_step is not None:
                    after_step()
                total += value.item() * len(rows)
            module.eval()
            row = {"train_loss": total / len(x)}
            if validation is not None:
                with torch.no_grad():
                    same = torch.Generator(x.device).manual_seed(seed)
                    row["validation_loss"] = (validation_loss or loss)(validation, same).mean().item()
            if (score := row.get("validation_loss", -epoch)) < best:  # without validation the last epoch is kept
                best, kept = score, copy.deepcopy(module.state_dict())
            history.append(row)
            tick(1)
    module.load_state_dict(kept)
    return history
