"""The memory of a training step is counted as an allocator would count it."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlcoder.errors import UserError
from dlcoder.scaffold import memory_probe
from dlcoder.scaffold.choices import decide
from dlcoder.scaffold.memory import CUDA_GB, FRAGMENTATION, Memory, estimate, refuse_too_large
from dlcoder.scaffold.plan import data_settings
from dlcoder.scaffold.project import scaffold_project
from dlcoder.scaffold.spec import ProjectSpec

# Runs a real step under torch's profiler, whose allocator events are independent of how we count.
MEASURE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import memory_probe as probe
from torch.profiler import ProfilerActivity, profile
request = json.loads(sys.argv[2])
project = probe.Project(request)
batch = project.batch(request["batch_size"])
players, average = project.players()
project.step(players, batch)
networks = [model for model, *_ in players] + ([average] if average is not None else [])
tensors = [*batch, *(t for network in networks for t in [*network.parameters(), *network.buffers()])]
tensors += [t for *_, optimizer in players for values in optimizer.state.values() for t in values.values()]
before = probe._bytes(tensors)
with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
    project.step(players, batch)
events = sorted(
    (e for e in measured.profiler.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns()
)
live = peak = 0
for event in events:
    live += event.nbytes()
    peak = max(peak, live)
print(before + peak)
"""
SPECS = {
    "small images in float32": {"task": "classification", "precision": "fp32"},
    "larger images in bfloat16": {
        "task": "classification",
        "precision": "bf16",
        "data": {"image_size": 96},
        "model": {"family": "resnet", "size": "tiny"},
        "train": {"batch_size": 16, "optimizer": "sgd", "ema": False},
    },
    "two networks that are trained in turn": {
        "task": "generation",
        "precision": "fp32",
        "model": {"family": "dcgan", "size": "tiny"},
    },
    "a student and its teacher": {
        "task": "self_supervised",
        "precision": "fp32",
        "model": {"family": "dino", "size": "tiny"},
        "train": {"batch_size": 16},
    },
}


def scaffolded(root: Path, spec: dict) -> dict:
    """Write a project; return the request of its probe."""
    asyncio.run(scaffold_project(root, ProjectSpec.model_validate(spec), validate="none"))
    choices = decide(ProjectSpec.model_validate(spec), root.name)
    return {"choices": choices, "smoke": {s.name: s.smoke for s in data_settings(choices) if s.in_smoke}}


@pytest.mark.parametrize("name", SPECS)
def test_the_estimate_is_within_a_fifth_of_what_is_allocated(name, tmp_path):
    made = scaffolded(tmp_path / "proj", SPECS[name])
    found = asyncio.run(estimate(tmp_path / "proj", made["choices"], made["smoke"]))
    assert found is not None
    choices = made["choices"]
    request = {
        "package": "proj",
        "batch_size": choices.batch_size,
        "precision": choices.precision,
        "ema": choices.ema,
        "optimizer": choices.optimizer,
        "data": {},
    }
    command = [sys.executable, "-c", MEASURE, str(Path(memory_probe.__file__).parent), json.dumps(request)]
    result = subprocess.run(command, cwd=tmp_path / "proj", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    allocated = int(result.stdout.splitlines()[-1]) / 1e9
    counted = (found.total - CUDA_GB) / FRAGMENTATION
    assert counted == pytest.approx(allocated, rel=0.2)


LARGE = Memory(batch_size=64, total=23.0, weights=1, gradients=1, optimizer=2, average=1, activations=15.2)


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does():
    refuse_too_large(LARGE, 24, 1)
    with pytest.raises(UserError) as refused:
        refuse_too_large(LARGE, 16, 2)
    assert "23.0 GB" in refused.value.problem and "16 GB" in refused.value.problem
    assert refused.value.next_step.startswith("Set train.batch_size to 32 and train.accumulation to 4")
    assert LARGE.largest_batch(16) == 37


def test_a_sharded_model_must_fit_with_its_activations_alone():
    sharded = LARGE.model_copy(update={"sharded": True})
    refuse_too_large(sharded, 18, 1)
    assert "Several GPUs share" in sharded.text()
    with pytest.raises(UserError, match="does not fit into 16 GB"):
        refuse_too_large(sharded, 16, 1)


def test_a_model_that_does_not_fit_at_all_is_refused_as_such():
    with pytest.raises(UserError, match="smaller model"):
        refuse_too_large(LARGE, 4, 1)


def test_a_project_says_what_a_step_needs_and_refuses_a_gpu_that_is_too_small(tmp_path):
    spec = {"task": "classification", "gpu_memory_gb": 1, "train": {"batch_size": 8192}}
    with pytest.raises(UserError, match="does not fit into 1 GB") as refused:
        asyncio.run(scaffold_project(tmp_path / "a", ProjectSpec.model_validate(spec)))
    assert not (tmp_path / "a").exists() and refused.value.next_step
    small = {"task": "classification", "gpu_memory_gb": 2}
    answer = asyncio.run(scaffold_project(tmp_path / "b", ProjectSpec.model_validate(small)))
    assert re.search(r"with batches of 64 \(activations \d\d MB, weights 1 MB", answer.memory)
