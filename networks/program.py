"""A Pyro program as a module that runs in either of Pyro's parameter modes."""

import pyro
from pyro.nn import PyroModule


class Program(PyroModule):
    """A `PyroModule` that runs under `pyro.settings.context(module_local_params=True)` wherever it was built.

    Pyro 1.9 gives a module the place for module-local parameters only if the setting is on while the module
    is *built*; a module built without it fails under the setting with an `AttributeError`. Building every
    program under the setting makes both modes work: in the global mode that place is never looked at.
    """

    def __init__(self) -> None:
        with pyro.settings.context(module_local_params=True):
            super().__init__()
