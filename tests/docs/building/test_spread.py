"""Neighbours among the pages are read by different processes, and each is read once."""

from itertools import pairwise

from building.spread import PIECE, spread


def test_neighbours_are_in_different_pieces() -> None:
    names = [f"how_to/{n:03}" for n in range(87)]
    spread_out = list(names)
    spread(spread_out)
    assert sorted(spread_out) == names
    place = {name: i // PIECE for i, name in enumerate(spread_out)}
    assert all(place[a] != place[b] for a, b in pairwise(names))


def test_few_pages_stay_as_they_are() -> None:
    names = ["a", "b", "c"]
    spread(names)
    assert names == ["a", "b", "c"]
