"""Bags of words: the most frequent words of each, with how often they occur; and topics, likewise."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.report.figures.style import DATA, OTHER, Picture, new_figure, styled

MOST_BAGS, _MOST_WORDS, _COLUMNS = 16, 8, 4
_COLOURS = (DATA, OTHER)


@checked
def bags_figure(counts: Mapping[str, Tensor], words: Sequence[str] | None = None, *, title: str) -> Picture:
    """A panel for each of up to 16 bags: bars for the words that the first of `counts` has most of.

    Args:
        counts: what they are -> `[N, W]`, drawn side by side; at most two.
        words: the W words; by default their numbers.
        title: of the figure.

    Raises:
        ValueError: if the shapes do not fit, or there are no bags.
    """
    return _panels("counts", counts, words, title)


def _panels(argument: str, counts: Mapping[str, Tensor], words: Sequence[str] | None, title: str) -> Picture:
    data = {name: x.detach().cpu().double().numpy() for name, x in counts.items()}
    shapes = {name: x.shape for name, x in data.items()}
    if len(set(shapes.values())) != 1 or any(len(s) != 2 or 0 in s for s in shapes.values()):
        raise ValueError(f"{argument}: got the shapes {shapes}, expected [N, W] of at least one bag, all alike")
    num, width = next(iter(shapes.values()))
    labels = [str(w) for w in range(width)] if words is None else list(words)
    if len(labels) != width:
        raise ValueError(f"words: got {len(labels)}, expected one for each of {width} columns")
    shown, first = min(num, MOST_BAGS), next(iter(data.values()))
    columns = min(shown, _COLUMNS)
    with styled():
        figure = new_figure(0.4 + 2.2 * columns, 0.7 + 1.6 * -(-shown // columns))
        axes = figure.subplots(-(-shown // columns), columns, squeeze=False)
        for ax in axes.flat[shown:]:
            ax.set_visible(False)
        for n, ax in enumerate(axes.flat[:shown]):
            top = np.argsort(-first[n], kind="stable")[:_MOST_WORDS]
            places, height = np.arange(len(top)), 0.8 / len(data)
            for i, (name, x) in enumerate(data.items()):
                ax.barh(places + (i - (len(data) - 1) / 2) * height, x[n, top], height, color=_COLOURS[i], label=name)
            ax.set_yticks(places, [labels[w] for w in top])
            ax.invert_yaxis()
        if len(data) > 1:
            figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
        figure.suptitle(title, x=0.01, ha="left")
    return figure


@checked
def topics_figure(topics: Tensor, words: Sequence[str] = ()) -> Picture:
    """A panel for each of up to 16 topics: its most probable words.

    Args:
        topics: probabilities `[K, W]`, as a model's `topics()` says them.
        words: the W words; by default their numbers.

    Raises:
        ValueError: as of `bags_figure`.
    """
    title = f"{len(topics)} topics: the probabilities of their words"
    return _panels("topics", {"": topics}, words or None, title)
