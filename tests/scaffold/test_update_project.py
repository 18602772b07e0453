"""A project that dlcoder made is brought up to date, and what its owner changed stays."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcoder.errors import UserError
from dlcoder.scaffold import apply
from dlcoder.scaffold.project import Scaffolded, scaffold_project
from dlcoder.scaffold.spec import ProjectSpec
from dlcoder.scaffold.update import FOLDER, put_in_place, read_record


def scaffold(path: Path, dry_run: bool = False, validate: str = "none", **spec) -> Scaffolded:
    request = ProjectSpec.model_validate({"task": "classification", **spec})
    return asyncio.run(scaffold_project(path, request, dry_run, validate))


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "shapes"
    scaffold(root, train={"epochs": 7})
    return root


def test_an_update_with_the_same_request_changes_nothing(project):
    before = snapshot(project)
    assert scaffold(project).changes == []
    assert snapshot(project) == before


def test_what_is_left_out_stays_as_it_was_requested_before(project):
    scaffold(project, train={"ema": False})
    spec = read_record(project).spec
    assert spec["train"] == {"epochs": 7, "ema": False}
    assert not (project / "shapes" / "engine" / "ema.py").exists()
    assert "ema" not in (project / "train.py").read_text().lower()


def test_an_update_equals_a_project_made_so_from_the_start(project, tmp_path):
    scaffold(project, train={"ema": False}, precision="fp16")
    other = tmp_path / "other" / "shapes"
    scaffold(other, train={"epochs": 7, "ema": False}, precision="fp16")
    ours, theirs = snapshot(project), snapshot(other)
    assert {name for name in ours if ours[name] != theirs.get(name)} <= {f"{FOLDER}/project.json"}
    assert read_record(project) == read_record(other)


def test_edits_are_merged_and_files_of_the_owner_are_left_alone(project):
    train = project / "train.py"
    train.write_text(train.read_text().replace('"""Train a classifier.', '"""Train my classifier.'))
    (project / "notes.md").write_text("mine")
    config = project / "configs" / "default.yaml"
    config.write_text(config.read_text().replace("epochs: 7", "epochs: 70"))
    answer = scaffold(project, train={"ema": False, "lr": 0.5})
    kinds = {change.path: change.kind for change in answer.changes}
    assert kinds["train.py"] == "merged" and kinds["configs/default.yaml"] == "merged"
    assert train.read_text().startswith('"""Train my classifier.') and "ema" not in train.read_text().lower()
    assert "epochs: 70" in config.read_text() and "lr: 0.5" in config.read_text()
    assert (project / "notes.md").read_text() == "mine"


def test_conflicts_are_marked_listed_and_first_among_the_next_steps(project):
    path = project / "train.py"
    line = next(line for line in path.read_text().splitlines() if "import Ema" in line)
    path.write_text(path.read_text().replace(line, f"{line}  # mine"))
    answer = scaffold(project, validate="smoke", train={"ema": False})
    (conflict,) = [change for change in answer.changes if change.kind == "conflict"]
    assert conflict.path == "train.py" and "<<<<<<< yours" in path.read_text() and f"{line}  # mine" in path.read_text()
    assert "conflicts" in answer.next_steps[0].lower() and not answer.validation.passed


def test_files_that_the_owner_removed_stay_removed_and_edited_ones_that_are_no_longer_needed_stay(project):
    (project / "evaluate.py").unlink()
    ema = project / "shapes" / "engine" / "ema.py"
    ema.write_text(ema.read_text() + "# mine\n")
    answer = scaffold(project, train={"ema": False})
    assert not (project / "evaluate.py").exists() and ema.read_text().endswith("# mine\n")
    assert {change.path for change in answer.changes if change.kind == "kept"} == {
        "evaluate.py",
        "shapes/engine/ema.py",
    }


def test_a_file_of_the_owner_in_the_place_of_a_new_one_is_not_overwritten(project):
    scaffold(project, train={"ema": False})
    mine = project / "shapes" / "engine" / "ema.py"
    mine.write_text("mine")
    answer = scaffold(project, train={"ema": True})
    assert mine.read_text() == "mine" and "class Ema" in (project / "shapes/engine/ema.py.new").read_text()
    assert [c.path for c in answer.changes if c.kind == "conflict"] == ["shapes/engine/ema.py.new"]


def test_a_dry_run_shows_the_patch_and_writes_nothing(project):
    before = snapshot(project)
    answer = scaffold(project, dry_run=True, train={"ema": False})
    assert snapshot(project) == before
    assert "--- a/shapes/engine/ema.py\n+++ /dev/null\n" in answer.diff
    subprocess.run(["git", "apply", "--check"], cwd=project, input=answer.diff, text=True, check=True)


def test_an_update_that_breaks_the_project_is_not_made(project):
    before = snapshot(project)
    step = project / "shapes" / "engine" / "train_step.py"
    step.write_text(step.read_text().replace("self.optimizer.step()", "pass"))
    broken = snapshot(project)
    with pytest.raises(UserError) as refused:
        scaffold(project, validate="smoke", train={"lr": 0.2})
    assert "nothing in" in refused.value.problem and snapshot(project) == broken != before


def test_an_edited_project_is_proved_with_its_edits(project):
    (project / "shapes" / "extra.py").write_text("SCALE = 2.0\n")
    (project / "shapes" / "data").mkdir()
    (project / "shapes" / "data" / "own.py").write_text("from shapes.extra import SCALE\n\nTWICE = 2 * SCALE\n")
    train = project / "train.py"
    mine = "import argparse\n\nimport shapes.data.own\n"
    train.write_text(train.read_text().replace("import argparse\n", mine, 1) + "\n# mine\n")
    answer = scaffold(project, validate="smoke", train={"lr": 0.2})
    assert answer.validation.passed and (project / "shapes" / "extra.py").exists()


def test_a_damaged_record_is_refused(project):
    (project / FOLDER / "pristine.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match="damaged"):
        scaffold(project, train={"ema": False})


def test_a_link_out_of_the_project_is_not_written_through(project, tmp_path):
    outside = tmp_path / "outside"
    (project / "configs").rename(outside)
    (project / "configs").symlink_to(outside)
    before = snapshot(outside)
    with pytest.raises(UserError, match="link"):
        scaffold(project, train={"lr": 0.2})
    assert snapshot(outside) == before


def test_permissions_survive_an_update(project):
    script, train = project / "scripts" / "torchrun.sh", project / "train.py"
    train.chmod(0o600)
    scaffold(project, train={"ema": False})
    assert train.stat().st_mode & 0o777 == 0o600 and os.access(script, os.X_OK)


def test_what_a_kill_interrupted_is_finished_by_the_next_call(project):
    """The journal is there, and nothing of it has been done."""
    before = snapshot(project)
    apply.prepare(project, {"train.py": b"new", "brand/new.py": b"2"}, ["evaluate.py"])
    assert {k: v for k, v in snapshot(project).items() if "update-" not in k} == before
    scaffold(project)
    assert (project / "train.py").read_bytes() == b"new" and (project / "brand/new.py").exists()
    assert not (project / "evaluate.py").exists() and not list((project / FOLDER).glob("update-*"))


UPDATE = """
import asyncio, json, sys
from pathlib import Path
from dlcoder.scaffold.project import scaffold_project
from dlcoder.scaffold.spec import ProjectSpec
print("ready", flush=True)
asyncio.run(scaffold_project(Path(sys.argv[1]), ProjectSpec.model_validate(json.loads(sys.argv[2])), False, "none"))
"""


def test_a_kill_at_any_moment_leaves_the_old_project_or_the_new_one(project, tmp_path):
    states = [snapshot(project)]
    rng = random.Random(1)
    wanted = {"task": "classification", "train": {"ema": False}}
    twin = tmp_path / "twin" / "shapes"
    scaffold(twin, train={"epochs": 7})
    scaffold(twin, train={"ema": False})
    states.append(snapshot(twin))
    struck = set()
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", UPDATE, str(project), json.dumps(wanted)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        deadline = time.monotonic() + 5
        while list((project / FOLDER).glob("update-*/journal.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        found = {name: content for name, content in snapshot(project).items() if "/update-" not in name}
        assert found in states
        struck.add(states.index(found))
        if found == states[1]:
            scaffold(project, train={"ema": True})
            states[0] = snapshot(project)
    assert struck


def test_changes_are_put_in_place_by_a_process_that_outlives_ours(project):
    """`put_in_place` is cancelled at once, and all of it is done all the same."""

    async def cancelled() -> None:
        from dlcoder.scaffold.update import Change

        task = asyncio.create_task(put_in_place(project, [Change("train.py", "updated", b"new")], {}))
        while not list((project / FOLDER).glob("update-*/journal.json")):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancelled())
    assert (project / "train.py").read_bytes() == b"new" and not list((project / FOLDER).glob("update-*"))
