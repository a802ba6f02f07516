"""The kernels that execute pages: what they say to each other is encrypted where it can be, and not logged."""

import logging
from typing import Any

import zmq
from jupyter_client.manager import KernelManager


def setup(app: Any) -> None:
    """MyST-NB makes the kernels and hands them no settings: what they are by default is changed."""
    if zmq.has("curve") and hasattr(KernelManager, "transport_encryption"):
        KernelManager.transport_encryption.default_value = "auto"  # or each kernel warns that it listens in the open
    logging.getLogger("traitlets").setLevel(logging.WARNING)
