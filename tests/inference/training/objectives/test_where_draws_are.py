"""What an objective makes of draws is where the programs are: `meta` has shapes alone, and does not mix with others."""

import pyro
import pytest
import torch

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target
from elbowroom.inference.training import OBJECTIVES
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.per_datum import PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs
from elbowroom.models import VAE


@pytest.mark.parametrize("name", ["IWAE", "Renyi", "STL", "score-function"])
def test_value_and_surrogate_are_on_the_programs_device(name: str) -> None:
    model, guide, x = VAE(6, 2, (4,)), AmortizedNormal(6, 2, (4,)), torch.zeros(3, 6)
    objective = OBJECTIVES[name].make(Setting(Target(model, guide, x).structure, "data", num_particles=2))
    assert isinstance(objective, PerDatumObjective)
    with pyro.validation_enabled(False):  # it would look at values
        found = objective.estimate(Programs(model.to("meta"), guide.to("meta"), (x.to("meta"),), {}))
    assert found.value.device.type == found.surrogate.device.type == "meta"
