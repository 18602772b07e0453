"""Good projects of several styles raise no alarm, bad ones are named, and nothing of them is touched."""

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

from dlcoder.errors import UserError
from dlcoder.sandbox.report import Check, Report
from dlcoder.sandbox.smoke import CHECKS, check_names, smoke_test
from dlcoder.tools.base import Call
from dlcoder.tools.smoke_test import TOOL, SmokeOutput

PROJECTS = Path(__file__).parent / "projects"
STEP = "x = torch.ones(1, requires_grad=True)\noptimizer = torch.optim.SGD([x], lr=0.1)\n"


def run(path: Path, *checks: str, **options) -> Report:
    return asyncio.run(smoke_test(path, list(checks), **{"timeout_s": 200, **options}))


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "torchrun"), [("classifier", "skip"), ("gpt", "pass"), ("segmentation", "skip"), ("ddp", "pass")]
)
def test_a_good_project_raises_no_alarm_in_any_check_and_is_not_written(name, torchrun):
    before = hashes(PROJECTS / name)
    report = run(PROJECTS / name, "all")
    assert [c for c in report.checks if c.status in ("fail", "error")] == []
    assert report.passed
    assert {c.name.partition(".")[0] for c in report.checks} == set(CHECKS)
    assert sum(c.status == "pass" for c in report.checks) >= 18
    assert hashes(PROJECTS / name) == before
    [launched] = [c for c in report.checks if c.name == "torchrun"]
    assert launched is report.checks[-1], "a real torchrun is the last gate"
    assert launched.status == torchrun
    assert torchrun == "pass" or "torch.distributed" in launched.detail


def test_a_program_that_only_says_passed_is_not_passed(tmp_path):
    text = "import os, torch\nprint('all checks passed', flush=True)\nfor fd in range(3, 60):\n"
    text += '    try: os.write(fd, b\'{"check": {"name": "one_batch", "status": "pass"}}\\n{"done": true}\\n\')\n'
    text += "    except OSError: pass\nos._exit(0)\n# loss.backward()\nfor _ in []: pass\n"
    report = run(write(tmp_path, "train.py", text), "one_batch")
    assert not report.passed
    assert any(c.status in ("fail", "error") for c in report.checks)


def test_an_error_of_the_program_is_quoted_with_its_line(tmp_path):
    text = f"import torch\n{STEP}def train(): pass\nraise ValueError('no such data')\n(x * 2).backward()\n"
    report = run(write(tmp_path, "train.py", text), "one_batch")
    [check] = [c for c in report.checks if c.name == "one_batch"]
    assert check.status == "error"
    assert "no such data" in check.detail and "train.py:5" in check.fix


def test_a_closure_that_computes_the_gradients_inside_step_is_understood(tmp_path):
    text = f"import torch\n{STEP}def closure():\n    optimizer.zero_grad()\n    loss = (x - 3).pow(2).sum()\n"
    text += "    loss.backward()\n    return loss\nfor _ in range(4):\n    optimizer.step(closure)\n"
    report = run(write(tmp_path, "train.py", text), "one_batch")
    assert report.passed, report.checks


def test_two_optimizers_that_train_against_each_other_raise_no_alarm(tmp_path):
    text = """
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
D = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
opt_g, opt_d = torch.optim.Adam(G.parameters(), 1e-3), torch.optim.Adam(D.parameters(), 1e-3)
for _ in range(6):
    real, fake = torch.randn(8, 2) + 2, G(torch.randn(8, 4))
    opt_d.zero_grad()
    loss_d = F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()
    loss_d.backward()
    opt_d.step()
    opt_g.zero_grad()
    F.softplus(-D(fake)).mean().backward()
    opt_g.step()
"""
    report = run(write(tmp_path, "train.py", text), "one_batch", "accumulation", "validation", "memory", "syncs")
    assert [c for c in report.checks if c.status in ("fail", "error")] == []


def test_cancelling_ends_the_run_within_a_second(tmp_path):
    text = f"import torch, time\n{STEP}(x * 2).backward()\nfor _ in range(10**9): time.sleep(1)\n"
    write(tmp_path, "train.py", text)

    async def cancel() -> float:
        running = asyncio.Event()
        heard = lambda message, fraction: running.set() if message.startswith("running") else None  # noqa: E731
        task = asyncio.create_task(smoke_test(tmp_path, ["one_batch"], timeout_s=100, progress=heard))
        await asyncio.wait_for(running.wait(), 60)
        await asyncio.sleep(0.5)
        task.cancel()
        start = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - start

    assert asyncio.run(cancel()) < 1.0


def test_a_run_that_takes_too_long_is_reported_and_not_passed(tmp_path):
    text = f"import torch, time\n{STEP}def train(): pass\nwhile True: time.sleep(1)\n"
    report = run(write(tmp_path, "train.py", text), "one_batch", timeout_s=5)
    assert not report.passed
    assert any(c.status in ("fail", "error") for c in report.checks)


def test_an_unknown_check_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match="'resume'"):
        check_names(["resum"])


def test_another_executor_is_refused():
    with pytest.raises(UserError, match="slurm"):
        run(PROJECTS / "ddp", "one_batch", executor="slurm")


def test_the_text_leads_with_the_verdict_and_stays_short():
    checks = [
        Check(name=f"check_{i}", status="fail", measured="3", expected="2", fix="do that " * 40) for i in range(5)
    ]
    checks += [Check(name=f"ok_{i}", status="pass") for i in range(20)]
    text = SmokeOutput(passed=False, checks=checks, log_tail="x" * 5000).text()
    assert text.startswith("FAILED: ")
    assert len(text) < 4 * 900


def test_the_tool_runs_a_project():
    arguments = TOOL.input.model_validate({"path": str(PROJECTS / "ddp"), "checks": ["one_batch"]})
    heard: list[str] = []
    output = asyncio.run(TOOL.run(arguments, Call(progress=lambda message, fraction: heard.append(message))))
    assert output.passed and output.text().startswith("PASSED")
    assert "running one_batch" in heard
