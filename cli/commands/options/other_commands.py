"""The options of demo, rivals and families."""

from dataclasses import dataclass
from typing import Literal

from elbowroom.commands.options.shared import EveryCommand


@dataclass(frozen=True, kw_only=True)
class DemoOptions(EveryCommand):
    """The main job on the embedded digits: train, evidence, VI against MCMC, figures.

    Attributes:
        output: where everything goes; an earlier demo there is replaced.
        epochs: of training.
        num_compared: data whose posteriors are compared.
    """

    output: str = "demo-output"
    epochs: int = 250
    num_compared: int = 3


@dataclass(frozen=True, kw_only=True)
class RivalsOptions:
    """Which model of the digits is better where? VAEs, a mixture and models without latents in one table.

    Attributes:
        kind: the digits as binary images, or as levels 0 to 16.
        rows: the rows to make, such as [mixture,vae-10,made] (null: all).
        limit: so many test data at equal distances (null: all).
        output: where rivals.json, rivals.md and draws.png go (null: nowhere).
        seed: of everything random.
        json: print the result as JSON.
    """

    kind: Literal["binary", "levels"] = "binary"
    rows: list[str] | None = None
    limit: int | None = None
    output: str | None = None
    seed: int = 0
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class FamiliesOptions:
    """The models, guides and densities that train knows by name: what each is of, and what it can be told.

    Attributes:
        json: print the table as JSON.
    """

    json: bool = False
