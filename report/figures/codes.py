"""The use of a codebook: of each position how often each code occurs."""

import numpy as np

from elbowroom.entrances import checked
from elbowroom.inference import CodeUsage
from elbowroom.report.figures.style import GUIDE, Picture, new_figure, styled

MOST_POSITIONS = 16


@checked
def usage_figure(usage: CodeUsage) -> Picture:
    """A panel for each of up to 16 positions: a bar for each code, the share of the data that have it.

    Args:
        usage: from `code_usage`.
    """
    shares, numbers = usage.usage.numpy()[:MOST_POSITIONS], usage.perplexity.tolist()
    with styled():
        figure = new_figure(5.5, 0.6 + 1.4 * len(shares))
        axes = figure.subplots(len(shares), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for position, ax in enumerate(axes):
            ax.bar(np.arange(shares.shape[1]), shares[position], color=GUIDE)
            ax.set_title(f"position {position}: perplexity {numbers[position]:.1f} of {shares.shape[1]}", loc="left")
            ax.set_ylabel("share of data")
        axes[-1].set_xlabel("code")
    return figure
