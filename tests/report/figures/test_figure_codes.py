"""The use of a codebook: its bars are the shares."""

import numpy as np
import torch

from elbowroom.inference import code_usage
from elbowroom.report import usage_figure


def test_a_bar_for_each_code_and_a_panel_for_each_position() -> None:
    usage = code_usage(torch.tensor([[0, 2], [0, 1], [3, 2], [0, 0]]), 4)
    figure = usage_figure(usage)
    heights = [[bar.get_height() for bar in ax.patches] for ax in figure.axes]
    np.testing.assert_allclose(heights, usage.usage)
    assert figure.axes[1].get_title(loc="left") == f"position 1: perplexity {usage.perplexity[1]:.1f} of 4"


def test_of_many_positions_the_first_are_drawn() -> None:
    assert len(usage_figure(code_usage(torch.zeros(3, 40, dtype=torch.long), 2)).axes) == 16
