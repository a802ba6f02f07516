"""Results as matplotlib figures that look alike and are the same bytes every time.

    style.py    colours that everybody can tell apart, an empty figure, `save_figure`
    looks.py    which colour, line and marker is whose, for figures of one's own
    gap.py, losses.py                            the room; the course of training
    posterior.py, corner.py, density_mesh.py     q against the posterior: one or two latents on a mesh, more as a corner
    images.py, latents.py                        what the model draws, where a datum is an image
    sequences.py, bags.py                        and where it is a sequence or a bag of words
    codes.py                                     how much of a codebook is used
    two_models.py                                which of two models is better
    datum.py                                     which of these: what a datum is decides

Every function returns a figure of its own: no pyplot, no window, the caller's settings untouched. Read `style.py`
first. Imports: `report.records`, `inference/` and matplotlib; no other room of `report/`.
"""
