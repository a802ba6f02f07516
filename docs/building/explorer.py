"""A page to walk through the latent space of the digits: `elbowroom explore` on a VAE that `elbowroom train` trains."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from building import DOCS
from building.code_hash import text_hash
from building.executed import QUICK
from elbowroom.__main__ import COMMANDS

KEPT = DOCS / "_build" / "executed" / "explorer"
SHOWN = DOCS / "_build" / "beside" / "explorer.html"
"""What Sphinx copies as it is, beside the pages (`html_extra_path`)."""

TRAIN = ("train", "--seed", "0")
EXPLORE = ("explore", "--budget", "1e7 evaluations")

RUN = "runs/digits"

POINTER = """\
**[A walk through latent space](explorer.md)**: around some digits what q, the prior and the posterior are in the plane
of two latents, and what the decoder draws at each point.

"""

PAGE = """\
# A walk through latent space

A VAE of the handwritten digits with two latents, as `elbowroom train` makes it, and what `elbowroom explore` says of
it. Point at a place in the plane to see what the decoder draws there.
[As a page by itself](../explorer.html){.external}.

<iframe class="explorer" src="../explorer.html" title="The plane of two latents around some digits: posterior, q, prior,
and what the decoder draws at a point" loading="lazy"></iframe>

```sh
elbowroom train --output runs/digits
elbowroom explore --run runs/digits
```
"""


def page() -> str:
    """The page around it, or an empty text if there is no such command (or it is not to be run)."""
    if "explore" not in COMMANDS or (QUICK and not kept().exists()):
        return ""
    SHOWN.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made(), SHOWN)
    return PAGE


def kept() -> Path:
    """Where the file is, or would be."""
    return KEPT / f"{text_hash(*TRAIN, *EXPLORE)}.html"


def made() -> Path:
    """The file, made anew if the code is another.

    Raises:
        RuntimeError: a command failed.
    """
    if not kept().exists():
        with tempfile.TemporaryDirectory() as place:
            _command(place, *TRAIN, "--output", RUN)  # the page is called by where its run is
            _command(place, *EXPLORE, "--run", RUN, "--output", "page")
            shutil.rmtree(KEPT, ignore_errors=True)
            KEPT.mkdir(parents=True)
            shutil.copyfile(Path(place) / "page" / "explore.html", kept())
    return kept()


def _command(place: str, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "elbowroom", *words], cwd=place, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"elbowroom {' '.join(words)} ended with {done.returncode}: {done.stderr}")
