"""The tool on this machine, and on machines that a false nvidia-smi makes of it."""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from dlcoder.diagnosis.verdict import Evidence as DiagnosisEvidence
from dlcoder.environment.command import ask
from dlcoder.environment.describe import evidence, report, shadowing
from dlcoder.environment.model import Driver, Environment, Limits, Problem, Torch
from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.tools.base import Call
from dlcoder.tools.describe_environment import TOOL, DescribeEnvironmentInput, DescribeEnvironmentOutput


def call(python: str | None = sys.executable, **lent) -> DescribeEnvironmentOutput:
    return asyncio.run(TOOL.run(DescribeEnvironmentInput(python=python), Call(**lent)))


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> tuple[DescribeEnvironmentOutput, list[tuple[str, float]], Path]:
    seen: list[tuple[str, float]] = []
    root = tmp_path_factory.mktemp("root")
    found = call(roots=Roots((root,)), progress=lambda message, fraction: seen.append((message, fraction)))
    return found, seen, root


@pytest.fixture
def here(watched) -> DescribeEnvironmentOutput:
    return watched[0]


def test_this_machine_is_described_as_it_is(here):
    assert here.torch["ran"] and here.torch["version"] == here.libraries["torch"]
    assert here.limits["cpus"] == os.cpu_count() and here.limits["cpus_usable"] <= len(os.sched_getaffinity(0))
    assert here.limits["shm_mib"] == os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize >> 20
    assert here.torch["available"] == bool(here.torch.get("devices"))
    assert "rlimits" in here.sandbox


def test_the_answer_is_short_and_ends_with_the_report(here):
    text = here.text()
    assert len(text) < 2400 and text.endswith(here.report)
    assert here.torch["version"] in here.report and "open files" in here.report


def test_progress_rises_and_says_what_is_done(watched):
    fractions = [fraction for _, fraction in watched[1]]
    assert len(fractions) >= 3 and fractions == sorted(fractions) and all(message for message, _ in watched[1])


def test_the_server_s_process_does_not_import_torch():
    code = (
        "import asyncio, sys\n"
        "from dlcoder.tools.describe_environment import TOOL\n"
        "from dlcoder.tools.base import Call\n"
        "assert not {'yaml', 'packaging', 'dlcoder.environment.describe'} & sys.modules.keys(), 'too early'\n"
        "asyncio.run(TOOL.run(TOOL.input(), Call()))\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_interpreter_that_is_none_is_refused_with_a_way_out(tmp_path):
    with pytest.raises(UserError, match="not a Python interpreter"):
        call(str(tmp_path))


def test_the_file_system_of_the_first_root_is_described(watched):
    assert watched[0].limits["disks"][0]["path"] == str(watched[2])


def fake_smi(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_driver_that_broke_in_an_upgrade_leads_the_answer(tmp_path, monkeypatch):
    fake_smi(tmp_path, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = call()
    assert found.problems[0].id == "driver-library-mismatch"
    assert found.text().splitlines()[1].startswith("- [blocks] The loaded kernel module")


def test_cancelling_ends_a_hung_driver_s_tool_within_a_second(tmp_path, monkeypatch):
    fake_smi(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 600")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def cancel() -> float:
        task = asyncio.create_task(TOOL.run(DescribeEnvironmentInput(python=sys.executable), Call()))
        while not (tmp_path / "pid").exists() and not task.done():
            await asyncio.sleep(0.02)
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begin

    assert asyncio.run(cancel()) < 1
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 1
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_a_utility_that_hangs_is_killed_when_its_time_is_up():
    begin = time.monotonic()
    reply = asyncio.run(ask("sleep", "600", timeout_s=0.2))
    assert reply.code == 124 and "did not answer" in reply.text and time.monotonic() - begin < 2


def test_a_utility_that_is_not_there_is_a_reply_too():
    assert asyncio.run(ask("no-such-utility", timeout_s=1)).code == 127


def test_libraries_of_cuda_before_torch_s_own_are_found(tmp_path):
    for name in ("libcudnn.so.8", "libcudnn.so.8.9.7", "libcuda.so.1", "libfoo.so"):
        (tmp_path / name).touch()
    assert shadowing({"LD_LIBRARY_PATH": f"/nonexistent:{tmp_path}::"}) == [f"{tmp_path}/libcudnn.so"]


def test_many_problems_stay_within_the_answer_s_length():
    problem = Problem(id="x", severity="risk", problem="p" * 250, consequence="c" * 250, fix="f" * 250)
    problems = [problem.model_copy(update={"id": f"problem-{i}"}) for i in range(40)]
    base = Environment(system="", python="", driver=Driver(), torch=Torch(), limits=Limits(cpus=1, cpus_usable=1))
    output = DescribeEnvironmentOutput.of(base.model_copy(update={"problems": problems, "report": "r" * 400}))
    assert len(output.text()) < 2400 and "problem-3" in output.text() and "more" in output.text()


def test_problems_stand_in_the_report_and_are_evidence_as_diagnose_log_quotes_it():
    problem = Problem(id="shm-too-small", severity="risk", problem="/dev/shm is only 64 MiB.", consequence="", fix="")
    problems = [problem.model_copy(update={"cause": "shm-too-small"}), problem.model_copy(update={"severity": "note"})]
    found = Environment(
        system="Linux", python="3", driver=Driver(), torch=Torch(), limits=Limits(cpus=1, cpus_usable=1)
    )
    found.problems = problems
    found.report = report(found)
    output = DescribeEnvironmentOutput.of(found.model_copy(update={"evidence": evidence(found)}))
    (line,) = output.evidence
    assert {"cause": "shm-too-small", "source": "environment", "supports": True}.items() <= line.items()
    assert output.report.splitlines()[line["line"] - 1] == line["text"] == "shm-too-small: /dev/shm is only 64 MiB."
    assert set(line) - {"cause"} <= {field.name for field in fields(DiagnosisEvidence)}
