"""What Sphinx is told: `make docs` builds the site from this folder into docs/_build/html."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "typings"), str(HERE.parent / "notebooks")])
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm in a kernel without widgets; it names our folders

from building.executed import pages_kept  # noqa: E402
from elbowroom import __version__  # noqa: E402

project, author, copyright = "elbowroom", "the elbowroom developers", "the elbowroom developers"
version = release = __version__
language = "en"
smartquotes = False  # what is written is shown

extensions = ["myst_nb", "sphinx.ext.autodoc", "building"]
exclude_patterns = ["_build", "building", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!elbowroom\.).*"),  # names of Python, torch and Pyro: nothing is asked for online
    (r"py:.*", r"elbowroom\.inference\.estimate\.Info"),  # a variable for types
]

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

nb_execution_mode = "cache"
nb_execution_cache_path = str(pages_kept())
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False

html_theme = "furo"
llms_summary = "How much room is between an ELBO and log p(x), where it comes from, and whether q can be trusted."
html_extra_path = ["_build/beside"]
html_title = f"elbowroom {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # browsers let no page read another one of a disk
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
html_math_renderer = "mathml"
