"""The latents of a datum as one vector."""

from elbowroom.inference.evaluation.coordinates import Coordinates
from toys.programs import Triple, conjugate, constrained, hierarchical, inner_plate


def test_coordinates_are_named_after_the_latents() -> None:
    def names(triple: Triple) -> list[str]:
        return Coordinates.of(triple.target()).names

    assert names(conjugate()) == ["z"]
    for triple in (hierarchical(), inner_plate()):
        assert names(triple) == triple.target().latent_names


def test_coordinates_have_numbers_where_a_latent_has_fewer_of_them_than_values() -> None:
    # r, p and u have one coordinate each, the simplex w two for its three values.
    coordinates = Coordinates.of(constrained().target())
    assert coordinates.names == [f"unconstrained coordinate {d}" for d in range(5)]
    assert len(coordinates.target.latent_names) == 6
