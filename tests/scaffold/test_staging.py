"""A project appears whole or not at all, whatever happens while it is made."""

import asyncio
import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from projects import choices, spec

from dlcoder.errors import UserError
from dlcoder.sandbox import smoke
from dlcoder.sandbox.report import Check, Report
from dlcoder.scaffold.project import project_files, scaffold_project
from dlcoder.scaffold.staging import staged

FILES = {"a.txt": b"a", "b/c.sh": b"c"}


def stages(folder: Path) -> list[Path]:
    return list(folder.rglob(".dlcoder-stage-*"))


def is_whole(project: Path) -> bool:
    record = json.loads((project / ".dlcoder/project.json").read_text())
    return all(
        hashlib.sha256((project / path).read_bytes()).hexdigest() == digest for path, digest in record["files"].items()
    )


@pytest.mark.parametrize("target", ["project", "new/parents/project"])
def test_what_is_published_appears_and_the_stage_disappears(tmp_path: Path, target: str) -> None:
    with staged(tmp_path / target) as stage:
        stage.write(FILES, executable=frozenset({"b/c.sh"}))
        assert not (tmp_path / target).exists()
        stage.publish()
    assert (tmp_path / target / "b/c.sh").read_bytes() == b"c"
    assert os.access(tmp_path / target / "b/c.sh", os.X_OK)
    assert not stages(tmp_path)


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    with staged(tmp_path / "project") as stage:
        stage.write(FILES)
        stage.publish()
    assert (tmp_path / "project/a.txt").exists()


def test_without_publishing_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staged(tmp_path / "new/project") as stage:
        stage.write(FILES)
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["full directory", "file", "dangling link", "file above"])
def test_an_occupied_path_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "project"
    if kind == "full directory":
        target.mkdir()
        (target / "mine").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    elif kind == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.write_text("mine")
        target = target / "below"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="director"), staged(target):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_what_appears_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not empty"), staged(tmp_path / "project") as stage:
        stage.write(FILES)
        (tmp_path / "project").mkdir()
        (tmp_path / "project/mine").write_text("mine")
        stage.publish()
    assert [file.name for file in (tmp_path / "project").iterdir()] == ["mine"]


def test_a_directory_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="written to"), staged(Path("/proc/project")):
        pass


def test_abandoned_stages_are_removed_and_living_ones_kept(tmp_path: Path) -> None:
    abandoned = tmp_path / ".dlcoder-stage-old"
    (abandoned / "tree").mkdir(parents=True)
    with staged(tmp_path / "one"), staged(tmp_path / "two"):
        assert not abandoned.exists()
        assert len(stages(tmp_path)) == 2


def test_a_stage_without_anything_in_it_is_abandoned_as_well(tmp_path: Path) -> None:
    (tmp_path / ".dlcoder-stage-empty").mkdir()
    with staged(tmp_path / "one"):
        assert len(stages(tmp_path)) == 1


def test_a_kill_at_any_moment_leaves_nothing_or_everything(tmp_path: Path) -> None:
    project_files(spec(), choices())  # rendered once, so that children spend their time writing
    moments = random.Random(0)
    outcomes = set()
    started = time.monotonic()
    asyncio.run(scaffold_project(tmp_path / "first", spec(), validate="none"))
    usual = time.monotonic() - started
    # At once, at random, and so late that a slow machine is done as well.
    delays = [0.0, *(moments.uniform(0, 1.3 * usual) for _ in range(38)), 10 * usual + 2]
    for number, delay in enumerate(delays):
        target = tmp_path / f"kill_{number}" / "parent" / "project"
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(scaffold_project(target, spec(), validate="none"))
            finally:
                os._exit(0)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert not target.exists() or is_whole(target)
        outcomes.add(target.exists())
    assert outcomes == {False, True}, "some were killed before the end, some after"
    asyncio.run(scaffold_project(tmp_path / "last", spec(), validate="none"))
    assert not stages(tmp_path), "the next run removes what killed ones left"


def fake_smoke_test(monkeypatch: pytest.MonkeyPatch, status: str) -> list[Path]:
    seen = []

    async def run(path: Path, checks: list[str], **_: object) -> Report:
        assert is_whole(path)
        seen.append(path)
        check = Check(name="one_batch", status=status, detail="the loss is not wired in")  # type: ignore[arg-type]
        return Report(passed=status == "pass", checks=[check], log_tail="Traceback\nValueError: broken")

    monkeypatch.setattr(smoke, "smoke_test", run)
    return seen


def test_a_project_that_fails_its_check_is_not_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smoke_test(monkeypatch, "fail")
    with pytest.raises(UserError, match="one_batch: the loss is not wired in") as caught:
        asyncio.run(scaffold_project(tmp_path / "project", spec()))
    assert "ValueError: broken" in caught.value.problem
    assert list(tmp_path.iterdir()) == []


def test_the_stage_is_what_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = fake_smoke_test(monkeypatch, "pass")
    result = asyncio.run(scaffold_project(tmp_path / "project", spec()))
    assert result.validation.passed
    assert seen[0].name == "project"
    assert seen[0] != tmp_path / "project"
    assert is_whole(tmp_path / "project")


def test_cancelling_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(*_: object, **__: object) -> Report:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(smoke, "smoke_test", forever)

    async def cancelled() -> None:
        task = asyncio.create_task(scaffold_project(tmp_path / "project", spec()))
        while not stages(tmp_path):
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert list(tmp_path.iterdir()) == []
