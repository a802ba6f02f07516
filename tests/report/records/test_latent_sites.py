"""Latent sites: what their variables and dimensions are called in a file."""

from elbowroom.report.records.latent_sites import sites, sites_of


def test_sites_are_found_by_the_names_of_their_latents() -> None:
    assert [(s.name, s.shape, s.dims) for s in sites_of(["z[0]", "z[1]"])] == [("z", (2,), ("latent",))]
    assert [(s.name, s.shape, s.dims) for s in sites_of(["w"])] == [("w", (), ())]
    assert [(s.name, s.shape, s.dims) for s in sites_of(["a[0,0]", "a[0,1]", "a[1,0]", "a[1,1]", "b"])] == [
        ("a", (2, 2), ("a_dim_0", "a_dim_1")),
        ("b", (), ()),
    ]


def test_a_site_that_is_called_like_a_dimension_gets_another_variable() -> None:
    """As does one with a slash, which netCDF keeps for groups; and no two of them the same."""
    assert [(s.variable, s.dims) for s in sites({"latent": (2,)})] == [("latent_", ("latent",))]
    named = sites({"draw": (), "a/b": (2,), "a_b": (), "datum": (3,)})
    assert [s.variable for s in named] == ["draw_", "a_b", "a_b_", "datum_"]
    assert [s.name for s in named] == ["draw", "a/b", "a_b", "datum"]
    assert [s.dims for s in named] == [(), ("a_b_dim_0",), (), ("datum__dim_0",)]
