"""What the page holds is the exploration: every array of every view, read back."""

from typing import Any

import numpy as np
import pytest
import torch

from elbowroom.inference.exploration.result import Scale
from elbowroom.report.explorer.document import page
from elbowroom.report.explorer.drawn import Drawn, drawn_as
from elbowroom.report.explorer.payload import number
from toys.explorations import EXPLORATIONS, digits, eight_latents, hostile
from toys.explorer_reader import bytes_in, data_of, floats_in, places_in, surface_in

KINDS = {"digits": "picture", "eight latents": "picture", "one latent": "bars", "sequences": "lines", "hostile": "bars"}


SMALL = EXPLORATIONS | {"digits": lambda: digits(40)}


@pytest.fixture(scope="module")
def held() -> dict[str, dict[str, Any]]:
    torch.set_default_dtype(torch.float64)
    return {name: data_of(page(make())) for name, make in SMALL.items()}


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_all_of_an_exploration_is_read_back(name: str, held: dict[str, dict[str, Any]]) -> None:
    exploration, data = SMALL[name](), held[name]
    assert data["drawn"]["kind"] == KINDS[name] and data["num_data"] == len(exploration)
    assert (bytes_in(data["x"]) == exploration.x.flatten(1).numpy()).all()
    assert np.allclose(floats_in(data["codes"]), exploration.codes.float().numpy())
    assert np.abs(surface_in(data["log_prior"]) - exploration.log_prior.numpy()).max() < 1e-3
    for column, (_, expected) in zip(data["columns"], exploration.columns.items(), strict=True):
        assert np.array_equal(floats_in(column["values"]), expected.values.float().numpy(), equal_nan=True)
    for part, moment in zip(data["moments"], exploration.moments, strict=True):
        assert np.allclose(floats_in(part["codes"]), moment.codes.float().numpy()) and part["name"] == moment.name
    assert [part["datum"] for part in data["views"]] == [view.datum for view in exploration.views]
    again = bytes_in(data["again"])
    for n, (part, view) in enumerate(zip(data["views"], exploration.views, strict=True)):
        for key, values in (("log_joint", view.log_joint), ("log_prior", view.log_prior), ("log_q", view.log_q)):
            if values is None:
                assert part[key] is None
                continue
            finite = values.isfinite().numpy()
            read = surface_in(part[key])
            assert np.abs(read[finite] - values.numpy()[finite]).max() < 1e-3 and (read[~finite] == -np.inf).all()
        assert np.allclose(part["code"], view.code) and np.allclose(part["frame"]["axes"], view.frame.axes)
        assert len(places_in(part["guide"], part["frame"]["window"])) > 50
        assert view.again is None or (again[n] == view.again.flatten().numpy()).all()
        if view.decoded is not None:
            mean = bytes_in(part["decoded"]["mean"])
            assert (np.moveaxis(mean, 0, -1) == view.decoded.mean.flatten(2).numpy()).all()


def test_a_sample_is_kept_beside_the_mean(held: dict[str, dict[str, Any]]) -> None:
    sample = eight_latents().views[3].decoded
    assert sample is not None and sample.sample is not None
    read = np.moveaxis(bytes_in(held["eight latents"]["views"][3]["decoded"]["sample"]), 0, -1)
    assert (read == sample.sample.flatten(2).numpy()).all()


def test_flags_are_kept_by_datum_and_only_those_there_are(held: dict[str, dict[str, Any]]) -> None:
    flags = held["digits"]["flags"]
    assert flags == {str(b): flag for b, flag in enumerate(digits(40).flags) if flag} and len(flags) == 1


def test_what_is_not_finite_has_words_of_json(held: dict[str, dict[str, Any]]) -> None:
    assert [number(value) for value in (float("nan"), float("inf"), -float("inf"), 1 / 3)] == [
        None, "inf", "-inf", 0.333333333,
    ]  # fmt: skip
    (rung,) = held["hostile"]["views"][0]["ladder"]
    assert rung["value"] == "-inf" and rung["stderr"] is None and len(hostile().views) == 1


UNIT = Scale(0.0, 1.0)


@pytest.mark.parametrize(
    "shape, image_shape, expected",
    [
        ((3, 64), None, Drawn("picture", (8, 8, 1))),
        ((3, 64), (), Drawn("bars", (64,))),
        ((3, 64), (4, 16), Drawn("picture", (4, 16, 1))),
        ((3, 63), None, Drawn("bars", (63,))),
        ((3, 20, 2), None, Drawn("lines", (20, 2))),
        ((3, 28, 28), None, Drawn("picture", (28, 28, 1))),
        ((3, 3, 9, 8), None, Drawn("picture", (9, 8, 3), channels_first=True)),
        ((3, 9, 8, 3), None, Drawn("picture", (9, 8, 3))),
        ((3, 192), (3, 8, 8), Drawn("picture", (8, 8, 3), channels_first=True)),
        ((3, 192), (8, 8, 3), Drawn("picture", (8, 8, 3))),
        ((3, 2, 3, 4, 5), None, Drawn("bars", (120,))),
        ((3,), None, Drawn("bars", (1,))),
    ],
)
def test_how_a_datum_is_drawn(shape: tuple[int, ...], image_shape: tuple[int, ...] | None, expected: Drawn) -> None:
    assert drawn_as(torch.zeros(shape, dtype=torch.uint8), UNIT, image_shape) == expected


def test_channels_come_last_in_the_page() -> None:
    x = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).to(torch.uint8)
    drawn = drawn_as(x, UNIT)
    assert (drawn.flat(x, 3) == x.permute(0, 2, 3, 1).reshape(2, 48)).all()


def test_a_halved_picture_is_the_mean_of_blocks_and_forgets_what_is_not_there() -> None:
    x = torch.tensor([[0, 100, 7], [100, 200, 255], [10, 20, 255]], dtype=torch.uint8).reshape(1, 9)
    drawn = Drawn("picture", (3, 3, 1))
    assert drawn.halved(x).tolist() == [[100, 7, 15, 255]] and drawn.half() == Drawn("picture", (2, 2, 1))
