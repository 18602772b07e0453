"""A project for every task: it trains, is killed, goes on bit for bit, evaluates, and learns what can be learned."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from options import TASKS
from projects import spec, write_project
from warm import Warm

from dlcoder.scaffold.tasks.table import TASKS as TABLE
from dlcoder.scaffold.tasks.table import meant

TRAIN_KILL_RESUME = """
    import glob, json, os, sys

    TIMES = {"time_data", "time_iter", "max_mem"}

    def trace(name):
        lines = open(f"runs/{name}/metrics.jsonl").read().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]

    def kill_after(steps):
        import importlib
        log = importlib.import_module(f"{os.path.basename(os.getcwd())}.utils.jsonl").JsonlLog
        write = log.write
        def write_and_die(self, entry):
            write(self, entry)
            if entry["step"] == steps:
                os._exit(9)
        log.write = write_and_die

    def child(action):
        if not (process := os.fork()):
            os._exit(action() or 0)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def prove():
        import train, evaluate
        arguments = ["--config", *glob.glob("configs/smoke.*"), "--run-dir"]
        assert child(lambda: train.main([*arguments, "runs/whole"])) == 0
        assert child(lambda: kill_after(3) or train.main([*arguments, "runs/killed"])) == 9
        assert child(lambda: train.main([*arguments, "runs/killed", "--resume"])) == 0
        assert trace("killed") == trace("whole") != []
        return evaluate.main(["--run", "runs/whole"])

    sys.exit(prove())
"""

# All but the tests that start processes, which pass in every project alike.
TEST_COMPONENTS = """
    import sys, pytest
    left_out = ["--ignore", "tests/test_training.py", "-k", "not rank and not process"]
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-W", "error", *left_out]))
"""

# One network of each task suffices here; classification has tests of its own.
EACH = pytest.mark.parametrize(
    "request_",
    [next(r for r in TASKS if meant(spec(**r)) == name) for name in TABLE if name != "classification"],
    ids=[name for name in TABLE if name != "classification"],
)


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    process = Warm()
    yield process
    process.close()


@EACH
def test_a_project_of_every_task_is_killed_and_goes_on_bit_for_bit(
    tmp_path: Path, warm: Warm, request_: dict[str, Any]
) -> None:
    project = write_project(tmp_path / "waves", **request_)
    code, output = warm.run(TRAIN_KILL_RESUME, project)
    assert code == 0, output[-3000:]
    task = TABLE[meant(spec(**request_))]
    assert (project / "runs/whole/evaluation" / task.picture).read_bytes().startswith(b"\x89PNG")
    results = json.loads((project / "runs/whole/evaluation/metrics.json").read_text())
    assert all(f"metric_{name}" in results for name in task.metrics)


@EACH
def test_the_tests_of_its_components_pass_as_they_were_specialized(
    tmp_path: Path, warm: Warm, request_: dict[str, Any]
) -> None:
    project = write_project(tmp_path / "waves", **request_)
    code, output = warm.run(TEST_COMPONENTS, project)
    assert code == 0, output[-4000:]
    assert "skipped" not in output
