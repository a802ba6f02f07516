"""Chunks as the remote tasks of a Ray cluster, which runs them again when a worker dies."""

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from elbowroom.inference.shards.attempts import MOST
from elbowroom.inference.shards.work import Work, silent

_AT_ONCE = 4  # tasks for each processor of the cluster that are known to it at a time


def over_ray(work: Work) -> None:
    """Do all chunks on the cluster that `RAY_ADDRESS` names, or that is running here, or else on one of this machine.

    Raises:
        ImportError: without Ray.
        ValueError: for a place that other machines cannot see.
    """
    if find_spec("ray") is None:
        raise ImportError("engine ray needs Ray: pip install 'elbowroom[ray]'")
    ray: Any = import_module("ray")
    own = not ray.is_initialized()
    if own:
        ray.init(log_to_driver=False, logging_level="ERROR")
    try:
        _all(ray, work)
    finally:
        if own:
            ray.shutdown()


def _all(ray: Any, work: Work) -> None:
    sent = ray.put(replace(work, say=silent, tick=_nothing))  # once, and not with every task
    task = ray.remote(max_retries=MOST, retry_exceptions=False)(_do)
    most = max(1, int(_AT_ONCE * ray.cluster_resources().get("CPU", 1)))
    waiting = [chunk for chunk in reversed(work.order()) if work.files.why_redone(chunk) is not None]
    running: dict[Any, int] = {}
    while waiting or running:
        while waiting and len(running) < most:
            chunk = waiting.pop()
            running[task.remote(sent, chunk)] = chunk
        done, _ = ray.wait(list(running), num_returns=1)
        for one in done:
            chunk = running.pop(one)
            outcome = _outcome(ray, one)
            if outcome == "again":
                waiting.insert(0, chunk)
            elif outcome not in ("kept", "done", "failed"):
                work.say(f"chunk {chunk}: {outcome}")
            work.tick()


def _do(work: Work, chunk: int) -> str:
    return work.do(chunk)


def _outcome(ray: Any, task: Any) -> str:
    """What became of a chunk; in words, if its worker died each time."""
    try:
        return str(ray.get(task))
    except ray.exceptions.WorkerCrashedError as error:
        return f"its worker died each time ({type(error).__name__})"


def _nothing() -> None:
    """The tick of a worker whose progress somebody else tells."""
