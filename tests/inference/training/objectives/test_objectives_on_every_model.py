"""Every registered model with each of its guides is trained by every objective, or refused by name."""

import pytest

from elbowroom.inference import fit
from elbowroom.inference.training import OBJECTIVES
from toys.contract import REGISTERED, Pair
from toys.objective_programs import OPTIONS

PYROS = {"TraceMeanField_ELBO", "RenyiELBO"}  # they refuse and warn in words of their own
CALLS = [(name, {}) for name in OBJECTIVES if name not in PYROS] + [
    ("reweighted-wake-sleep", {"loss_options": {"phi": "sleep"}})
]


@pytest.mark.slow
@pytest.mark.parametrize("pair", REGISTERED.values(), ids=list(REGISTERED))
def test_it_trains_or_says_why_not(pair: Pair) -> None:
    trained = 0
    for name, options in CALLS:
        model, guide = pair.build()
        step = {"num_epochs": 1, "batch_size": 3, "num_particles": OBJECTIVES[name].least_particles, "progress": False}
        try:
            fit(model, guide, pair.data(6), loss=name, **step, **OPTIONS.get(name, {}), **options)
            trained += 1
        except ValueError as refusal:
            assert f"loss='{name}'" in str(refusal)
    assert trained >= 6
