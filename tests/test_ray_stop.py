"""A run with replicas on a cluster of its own, stopped by Ctrl-C and gone on with by the model alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the package ray is not installed: pip install 'evalkit[ray]'")

SLOW = """
import time
from dataclasses import dataclass
from evalkit.types import Response

@dataclass(frozen=True)
class Slow:
    pause: float

    def identity(self):
        return {"engine": "slow"}

    def generate(self, requests):
        for request in requests:
            time.sleep(self.pause)
            yield Response(request.key, "A", "stop")
"""


def processes(mark: str) -> list[int]:
    """Return the processes that have `mark` in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes() and b") Z" not in (entry / "stat").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 180
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


@pytest.mark.usefixtures("sigint")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finding the cluster's processes needs /proc")
def test_ctrl_c_stores_what_is_in_flight_and_ends_the_cluster_and_the_model_alone_goes_on(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    mark = uuid.uuid4().hex
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "RAY_AUTH_TOKEN": mark}
    command = [sys.executable, "-m", "evalkit", "run", "task=docvqa", f"results_dir={tmp_path}"]
    own = ["model.of=chance", "model.of.name=slow", "model.of.runner._target_=slow.Slow"]
    ray = ["model=ray", *own, "+model.of.runner.pause=0.15", "+model.init.object_store_memory=80000000"]
    answers = tmp_path / "runs/slow/docvqa/responses.jsonl"
    # In a session of its own, so that the signal reaches it and its cluster as Ctrl-C in a terminal does.
    run = subprocess.Popen([*command, *ray], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert until(lambda: answers.exists() and answers.read_bytes().count(b"\n") >= 2)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=180)
    finally:
        run.kill()
    assert run.returncode == 130, said
    assert "stopping as soon as the answers in flight are stored" in said
    stored = [json.loads(line) for line in answers.read_text().splitlines()]
    assert 2 <= len(stored) < 40
    assert not any(answer["error"] for answer in stored)
    assert until(lambda: not processes(mark)), "the cluster outlived the run"
    alone = ["model=chance", "model.name=slow", "model.runner._target_=slow.Slow", "+model.runner.pause=0"]
    done = subprocess.run([*command, *alone], env=environment, capture_output=True, text=True, check=True)
    assert f"{40 - len(stored)} answers generated, {len(stored)} there before" in done.stdout
