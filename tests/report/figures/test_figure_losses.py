"""Training curves: the numbers of the history."""

from typing import Any

import numpy as np
import pytest

from elbowroom.report import loss_figure

HISTORY: list[dict[str, Any]] = [
    {
        "epoch": e, "beta": min(1.0, e / 5), "train_loss": 20 + 9 / e, "elbo": None if e % 2 else -21 - 9 / e,
        "elbo_stderr": 0.1, "reconstruction": None if e % 2 else -17 - 9 / e, "kl": None if e % 2 else 4.0,
        "kl_per_dim": None if e % 2 else {"z": [3.9, 0.1, 0.001]},
    }
    for e in range(1, 31)
]  # fmt: skip


def test_losses_are_shown_as_elbos_where_they_were_measured() -> None:
    figure = loss_figure(HISTORY)
    elbo, parts, dimensions = figure.axes
    train, held_out = elbo.lines[:2]
    np.testing.assert_allclose(train.get_xydata(), [(e, -20 - 9 / e) for e in range(1, 31)])
    np.testing.assert_allclose(held_out.get_xydata(), [(e, -21 - 9 / e) for e in range(2, 31, 2)])
    np.testing.assert_allclose(elbo.lines[2].get_xydata(), [(30, -21.3)])  # the best
    np.testing.assert_allclose(parts.lines[0].get_ydata(), [17 + 9 / e for e in range(2, 31, 2)])
    np.testing.assert_allclose(parts.lines[1].get_ydata(), 4.0)
    assert sorted(line.get_ydata()[0] for line in dimensions.lines) == [0.001, 0.1, 3.9]
    assert dimensions.get_title(loc="left").startswith("2 of 3 latent dimensions")
    warm = [patch.get_extents().transformed(ax.transData.inverted()) for ax in figure.axes for patch in ax.patches]
    np.testing.assert_allclose([box.x1 for box in warm], 4.5)  # β < 1 up to epoch 4


def test_what_the_history_lacks_is_left_out() -> None:
    figure = loss_figure([{"epoch": 1, "train_loss": 3.0}, {"epoch": 2, "train_loss": 2.0}])
    assert len(figure.axes) == 1
    assert not figure.axes[0].patches
    with pytest.raises(ValueError, match="got 1 rows without train_loss and elbo"):
        loss_figure([{"epoch": 1}])
