"""A part of a minibatch draws what its rows draw in the whole, whatever operation of torch it draws by."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from elbowroom.inference.training.parts import Part, part_of
from elbowroom.inference.training.shared_noise import SIZES, Unshared, listening, rules, seed_of, shared_noise
from elbowroom.inference.training.workers import Alone

Draw = Callable[[Tensor], Tensor]
"""Something random of rows `[n, 3]`, with the rows in its first dim."""

DRAWS: dict[str, Draw] = {
    "normal_": lambda x: torch.empty_like(x).normal_(1.0, 2.0),
    "uniform_": lambda x: x.clone().uniform_(-1, 1),
    "exponential_": lambda x: torch.empty_like(x).exponential_(),
    "cauchy_": lambda x: torch.empty_like(x).cauchy_(),
    "geometric_": lambda x: torch.empty_like(x).geometric_(0.3),
    "log_normal_": lambda x: torch.empty_like(x).log_normal_(),
    "random_": lambda x: torch.empty_like(x).random_(10),
    "bernoulli_ of a number": lambda x: torch.empty_like(x).bernoulli_(0.4),
    "bernoulli_ of numbers": lambda x: torch.empty_like(x).bernoulli_(x.sigmoid()),
    "bernoulli": lambda x: torch.bernoulli(x.sigmoid()),
    "bernoulli of a number": lambda x: torch.bernoulli(x, 0.4),
    "randn": lambda x: torch.randn(len(x), 20),
    "randn_like": torch.randn_like,
    "rand": lambda x: torch.rand(2, len(x), 3).movedim(0, 1),
    "rand_like": torch.rand_like,
    "randint": lambda x: torch.randint(3, 9, (len(x), 4)),
    "randint_like": lambda x: torch.randint_like(x, 9),
    "normal of tensors": lambda x: torch.normal(x, x.exp()),
    "normal of a tensor and a number": lambda x: torch.normal(x, 0.5),
    "normal of a number and a tensor": lambda x: torch.normal(0.5, x.exp()),
    "normal of tensors that broadcast": lambda x: torch.normal(x, torch.ones(3)),
    "normal of a shape": lambda x: torch.normal(0.0, 1.0, (len(x), 2)),
    "one category": lambda x: torch.multinomial(x.exp(), 1),
    "several categories": lambda x: torch.multinomial(x.exp(), 4, replacement=True),
    "different categories": lambda x: torch.multinomial(x.exp(), 2),
    "as many categories as rows": lambda x: torch.multinomial(torch.ones(5), len(x), replacement=True),
    "dropout": lambda x: functional.dropout(x, 0.3),
    "channels last": lambda x: torch.empty(len(x), 2, 3, 4).to(memory_format=torch.channels_last).normal_(),
    "particles outside, a plate inside": lambda x: torch.randn(2 * len(x) * 3).reshape(2, -1, 3).movedim(0, 1),
    "one of all rows, then of each": lambda x: torch.rand(3) + torch.rand_like(x),
}


def drawn(draw: Draw, x: Tensor, part: Part | None = None, lost: list[str] | None = None) -> Tensor:
    """What is drawn of rows, or of a part of them."""
    learned = []
    for size in SIZES:
        with torch.random.fork_rng(), listening() as calls:
            draw(x[:size])
        learned.append(calls)
    found = rules(learned, num_particles=2)
    torch.manual_seed(7)
    if part is None:
        return draw(x)
    with shared_noise(found, part, lambda: (lost if lost is not None else []).append("lost")):
        result = draw(*part.rows((x,)))
    assert torch.equal(torch.rand(3), _after(draw, x))  # the generator stands where the whole leaves it
    return result


def _after(draw: Draw, x: Tensor) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        draw(x)
        return torch.rand(3)


@pytest.mark.parametrize("name", DRAWS)
def test_a_part_draws_what_its_rows_draw_in_the_whole(name: str) -> None:
    x = torch.randn(8, 3)
    whole = drawn(DRAWS[name], x)
    for begin, end in ((0, 5), (5, 8), (7, 8)):
        part = drawn(DRAWS[name], x, Part(8, begin, end))
        assert torch.equal(part, whole[begin:end])


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: torch.poisson(x.exp()),
        lambda x: torch.distributions.Gamma(x.exp(), 1.0).sample(),
        lambda x: torch.randperm(len(x)),
        lambda x: torch.rand(len(x), len(x)),
        lambda x: torch.rand(len(x) + 1),
    ],
    ids=["Poisson", "gamma", "a permutation", "two dims", "one more"],
)
def test_what_cannot_be_shared_says_so(draw: Draw) -> None:
    with pytest.raises(Unshared, match="they draw"):
        drawn(draw, torch.randn(8, 3))


def test_what_is_drawn_in_another_order_than_was_learned_is_noticed_once() -> None:
    heard = []
    for size in SIZES:
        with listening() as calls:
            torch.randn(size)
            torch.rand(size)
        heard.append(calls)
    lost: list[str] = []
    with shared_noise(rules(heard, 1), Part(8, 0, 4), lambda: lost.append("lost")):
        assert len(torch.rand(4)) == 4 and len(torch.rand(4)) == 4
    assert lost == ["lost"]
    with pytest.raises(Unshared, match="from run to run"):
        rules([heard[0], heard[1][::-1]], 1)


def test_seeds_are_of_the_seed_the_step_and_the_worker() -> None:
    assert len({seed_of(*where) for where in ((0, 1), (1, 0), (0, 1, 0), (0, 1, 1), (1, 1, 0), (0, 0, 1))}) == 6


@pytest.mark.parametrize(("num_rows", "size"), [(8, 2), (7, 3), (2, 3), (1, 4)])
def test_parts_are_all_rows_once(num_rows: int, size: int) -> None:
    workers = [Alone() for _ in range(size)]
    for rank, one in enumerate(workers):
        one.rank, one.size = rank, size  # type: ignore[misc]
    parts = [part_of(num_rows, one) for one in workers]
    assert [i for p in parts if p.counts for i in range(p.begin, p.end)] == list(range(num_rows))
    assert sum(p.weight for p in parts) == pytest.approx(1) and min(p.size for p in parts) >= 1
    assert max(p.size for p in parts) - min(p.size for p in parts) <= 1 and parts[0].counts
