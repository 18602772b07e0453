"""A project, proved in the real sandbox before it is handed over."""

import asyncio
from pathlib import Path

from projects import spec

from dlcoder.scaffold.project import scaffold_project


def test_a_project_is_proved_and_handed_over(tmp_path: Path) -> None:
    heard = []
    answer = asyncio.run(
        scaffold_project(tmp_path / "birds", spec(), progress=lambda message, fraction: heard.append(fraction))
    )
    passed = {check.name for check in answer.validation.checks if check.status == "pass"}
    assert answer.validation.passed
    assert {"one_batch.loss", "one_batch.update", "torchrun"} <= passed
    assert (tmp_path / "birds/train.py").exists()
    assert not (tmp_path / "birds/runs").exists(), "the run was in the sandbox's copy"
    assert heard == sorted(heard)
