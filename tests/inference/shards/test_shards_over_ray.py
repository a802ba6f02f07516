"""Chunks as tasks of a local Ray cluster of two workers, one of which is killed. Skips where there is no Ray."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from elbowroom.inference import merge_shards
from toys.shard_worker import NUM_DATA, share

SCRIPT = """
import sys
from pathlib import Path
import ray, torch
from toys.shard_worker import Deadly, share
torch.set_default_dtype(torch.float64)
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
place, marker = sys.argv[1:]
print(share(place, 8, stored=True, source=Deadly(12, Path(marker)), engine="ray").line())
ray.shutdown()
"""


def test_without_ray_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elbowroom.inference.shards.over_ray.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"elbowroom\[ray\]"):
        share(str(tmp_path), 8, engine="ray")


@pytest.mark.slow
def test_the_tasks_of_ray_make_the_same_table_though_a_worker_dies(tmp_path: Path) -> None:
    if find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'elbowroom[ray]'")
    tests, marker = Path(__file__).parents[2], tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{tests}:{os.environ.get('PYTHONPATH', '')}"}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "ray"), str(marker)],
        cwd=tests, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "4 of 4 chunks" in run.stdout and marker.exists(), run.stdout + run.stderr
    share(str(tmp_path / "one"), NUM_DATA)
    assert Path(merge_shards(tmp_path / "ray")).read_bytes() == Path(merge_shards(tmp_path / "one")).read_bytes()
