"""A network of somebody's own that fails: which, on what, in whose words, and what to try, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

_LONGEST = 300  # characters of what the network raised


@contextmanager
def telling(argument: str, network: nn.Module, advice: str, **inputs: Tensor) -> Iterator[None]:
    """Inside, an error that comes out of the network is noted (`BaseException.add_note`) with what may be the matter.

    The error itself is left as it is: at some points of a latent space a numerical one is no defect.

    Args:
        argument: `"encoder"` or `"decoder"`, the network's name.
        network: what is called.
        advice: what to try.
        **inputs: what it is called with, by name.
    """
    try:
        yield
    except Exception as error:
        if _is_inside(error, network):
            shapes = ", ".join(f"{name} of shape {tuple(x.shape)}" for name, x in inputs.items())
            words = " ".join(str(error).split())[:_LONGEST].rstrip(".")
            error.add_note(f"{argument}: failed on {shapes}: {type(error).__name__}: {words}; {_layer(error)}{advice}")
        raise


def noted(error: BaseException) -> str:
    """What was noted on an error, or on the one that it was made of; empty if nothing was."""
    for one in (error, error.__cause__):
        notes = [note for note in getattr(one, "__notes__", ()) if note.startswith(("encoder: ", "decoder: "))]
        if notes:
            return str(notes[0])
    return ""


def _is_inside(error: BaseException, network: nn.Module) -> bool:
    """Whether an error was raised while the network ran."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_locals.get("self") is network:
            return True
        trace = trace.tb_next
    return False


def _layer(error: BaseException) -> str:
    """The innermost layer that an error came out of, if it says what it takes."""
    found, trace = "", error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_locals.get("self")
        if isinstance(module, nn.Module) and (hasattr(module, "in_features") or hasattr(module, "in_channels")):
            found = f"in its layer {module}; "
        trace = trace.tb_next
    return found
