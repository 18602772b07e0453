"""Scaffold a project: decide, render, stage, prove, publish."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from dlcoder.errors import UserError
from dlcoder.progress import Progress, silent
from dlcoder.sandbox.report import Check, Report
from dlcoder.scaffold.assumptions import Assumption
from dlcoder.scaffold.choices import Choices, decide
from dlcoder.scaffold.config_forms import FORMS
from dlcoder.scaffold.frameworks import FRAMEWORKS
from dlcoder.scaffold.spec import ProjectSpec

if TYPE_CHECKING:
    from dlcoder.scaffold.update import Change

Validation = Literal["none", "smoke", "full"]

CHECKS: dict[str, list[str]] = {"smoke": ["one_batch", "torchrun"], "full": ["all"]}


class ProjectFile(BaseModel):
    """One file of the project."""

    path: str
    role: str
    bytes: int


class ProjectChange(BaseModel):
    """What an update does to one file."""

    path: str
    kind: str = Field(description="added, updated, merged, removed, kept (your decision stands) or conflict.")
    details: list[str] = Field(default_factory=list)


class Scaffolded(BaseModel):
    """A project, written or only planned."""

    path: str = Field(description="Where the project is, or would be.")
    files: list[ProjectFile]
    tree: str = Field(description="The files as a tree.")
    assumptions: list[Assumption] = Field(description="What the request left open, and why it was settled so.")
    validation: Report = Field(description="What was run to prove the project.")
    next_steps: list[str]
    changes: list[ProjectChange] = Field(default_factory=list, description="What an update does, file by file.")
    diff: str = Field(default="", description="The update as a patch, for a dry run.")
    memory: str = Field(default="", description="What a training step needs on a GPU, counted.")


async def scaffold_project(
    path: Path, spec: ProjectSpec, dry_run: bool = False, validate: Validation = "smoke", progress: Progress = silent
) -> Scaffolded:
    """Make a project at `path`, which appears whole and proved, or not at all; or bring one up to date.

    Args:
        path: A path that does not exist, an empty directory, or a project that dlcoder made, which is then updated:
            `spec` says what is to change, and what the owner has edited is merged; resolved.
        spec: What is wanted.
        dry_run: Only say what would be written.
        validate: "none"; "smoke": one batch and two processes; "full": every check there is.
        progress: Told what is being done.

    Raises:
        UserError: The request contradicts itself, `path` is occupied, or a check failed.
    """
    from dlcoder.scaffold.record import is_scaffolded
    from dlcoder.scaffold.staging import refuse_occupied, staged

    if is_scaffolded(path):
        return await _update(path, spec, dry_run, validate, progress)
    refuse_occupied(path)
    choices = decide(spec, path.name)
    progress("rendering", 0.0)
    files = await asyncio.to_thread(project_files, spec, choices)
    if dry_run:
        return _answer(path, choices, files, _not_run("dry_run: nothing was written or run"), dry_run=True)
    with staged(path) as stage:
        stage.write(files, executable=frozenset(p for p in files if p.startswith("scripts/")))
        memory, report = await _together(
            _memory(stage.root, spec, choices, validate), _prove(stage.root, validate, progress)
        )
        if validate != "none" and not report.passed:
            raise UserError(
                f"The project failed its own checks on this machine, and nothing was written to {path}. "
                f"{_failures(report)}",
                "Mend what the check names (often the Python environment), or pass validate='none' to get it unproved.",
            )
        stage.publish()
    progress("done", 1.0)
    answer = _answer(path, choices, files, report, dry_run=False)
    answer.memory = memory
    return answer


async def _together(count: Coroutine[Any, Any, str], proof: Coroutine[Any, Any, Report]) -> tuple[str, Report]:
    """Both at once: the memory is counted while the processes of the proof start; where one fails, neither goes on."""
    try:
        async with asyncio.TaskGroup() as group:
            memory, report = group.create_task(count), group.create_task(proof)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return memory.result(), report.result()


async def _memory(root: Path, spec: ProjectSpec, choices: Choices, validate: Validation) -> str:
    """What a training step needs, as a sentence; empty where nothing is to be run or it cannot be counted.

    Raises:
        UserError: It is more than the GPU has that the request names.
    """
    if validate == "none":
        return ""
    from dlcoder.scaffold.memory import estimate, refuse_too_large
    from dlcoder.scaffold.plan import data_settings

    smoke = {setting.name: setting.smoke for setting in data_settings(choices) if setting.in_smoke}
    memory = await estimate(root, choices, smoke)
    if memory is None:
        return ""
    if spec.gpu_memory_gb is not None:
        refuse_too_large(memory, spec.gpu_memory_gb, choices.accumulation)
    return memory.text()


async def _update(
    path: Path, given: ProjectSpec, dry_run: bool, validate: Validation, progress: Progress
) -> Scaffolded:
    """Update the project at `path`: all of it and proved, or not at all."""
    from dlcoder.scaffold import update

    with update.alone(path):
        update.finish_interrupted(path)
        record = update.read_record(path)
        spec = _valid(update.merged_spec(record.spec, given.model_dump(exclude_unset=True)))
        choices = decide(spec, record.package)  # the folder may have been renamed since
        progress("rendering", 0.0)
        files = await asyncio.to_thread(project_files, spec, choices)
        changes = await asyncio.to_thread(update.compare, path, record.files, files)
        if dry_run:
            report = _not_run("dry_run: nothing was written or run")
        else:
            report = await _prove_update(path, changes, files, validate, progress)
            await update.put_in_place(path, changes, {name: files[name] for name in files if update.is_record(name)})
    progress("done", 1.0)
    answer = _answer(path, choices, files, report, dry_run=dry_run)
    answer.changes = [ProjectChange(path=c.path, kind=c.kind, details=list(c.details)) for c in changes]
    answer.diff = update.preview(path, changes) if dry_run else ""
    if any(change.kind == "conflict" for change in changes):
        answer.next_steps.insert(0, "Resolve the conflicts listed in `changes`, then call smoke_test.")
    return answer


def _valid(merged: dict[str, Any]) -> ProjectSpec:
    """The request of an update, which may contradict itself only together with the recorded one."""
    try:
        return ProjectSpec.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise UserError(
            f"Together with what the project was made with, {field} is not possible: {first['msg']}.",
            f"Give another {field or 'spec'}.",
        ) from None


async def _prove_update(
    path: Path, changes: "list[Change]", files: dict[str, bytes], validate: Validation, progress: Progress
) -> Report:
    """Run the project as it will be; where a conflict must be resolved first, that is not possible yet."""
    from dlcoder.scaffold import update

    conflicts = [change.path for change in changes if change.kind == "conflict"]
    if conflicts:
        return _not_run(f"conflicts in {', '.join(conflicts)} must be resolved first")
    with tempfile.TemporaryDirectory(prefix="dlcoder-") as folder:
        root = Path(folder) / path.name
        root.mkdir()
        await asyncio.to_thread(update.copy_with, path, changes, root, set(files))
        report = await _prove(root, validate, progress)
    if validate != "none" and not report.passed:
        raise UserError(
            f"The updated project failed its checks, and nothing in {path} was changed. {_failures(report)}",
            "Mend what the check names, or pass validate='none' to get the update unproved.",
        )
    return report


def project_files(spec: ProjectSpec, choices: Choices) -> dict[str, bytes]:
    """Return every file of the project, by path, the record of its making included."""
    from dlcoder.scaffold.plan import plan
    from dlcoder.scaffold.record import record
    from dlcoder.scaffold.render import render
    from dlcoder.scaffold.tasks.table import TASKS

    files = {path: text.encode() for path, text in render(plan(choices)).items()}
    samples = TASKS[choices.task].sources[choices.source].files()
    files |= {f"tests/sample_data/{name}": content for name, content in samples.items()}
    decided = {name: value for name, value in asdict(choices).items() if name != "assumptions"}
    return files | record(spec.model_dump(exclude_unset=True), decided, files)


async def _prove(root: Path, validate: Validation, progress: Progress) -> Report:
    if validate == "none":
        return _not_run("validate was 'none'")
    from dlcoder.sandbox.smoke import smoke_test

    def nested(message: str, fraction: float) -> None:
        progress(message, 0.1 + 0.85 * fraction)

    return await smoke_test(
        root,
        CHECKS[validate],
        nproc=2,
        python=None,
        device="auto",
        timeout_s=300 if validate == "smoke" else 900,
        executor="local",
        progress=nested,
    )


def _not_run(reason: str) -> Report:
    return Report(passed=False, checks=[Check(name="smoke_test", status="skip", detail=f"not run: {reason}")])


def _failures(report: Report) -> str:
    bad = [check for check in report.checks if check.status in ("fail", "error")]
    shown = "; ".join(f"{check.name}: {check.detail or check.measured}" for check in bad[:3])
    tail = "\n".join(report.log_tail.splitlines()[-8:])
    return f"{shown or 'no check could run'}." + "".join(f"\n{part}\n" for part in (tail, report.read_on()) if part)


def _answer(path: Path, choices: Choices, files: dict[str, bytes], report: Report, *, dry_run: bool) -> Scaffolded:
    from dlcoder.scaffold.plan import role_of
    from dlcoder.scaffold.tree import draw_tree

    return Scaffolded(
        path=str(path),
        files=[
            ProjectFile(path=name, role=role_of(name, choices.package), bytes=len(content))
            for name, content in sorted(files.items())
        ],
        tree=draw_tree(path.name, files),
        assumptions=choices.assumptions,
        validation=report,
        next_steps=_next_steps(path, choices, report, dry_run=dry_run),
    )


def _next_steps(path: Path, choices: Choices, report: Report, *, dry_run: bool) -> list[str]:
    if dry_run:
        return ["Call scaffold_project again without dry_run."]
    from dlcoder.scaffold.tasks.table import TASKS

    source = TASKS[choices.task].sources[choices.source]
    config = f"configs/default.{FORMS[choices.config].suffix}"
    steps = [] if report.passed else [f'Call smoke_test with path "{path}": nothing has been run yet.']
    if not source.synthetic:
        needs = f" (needs {', '.join(source.extra[1:])})" if source.extra else ""
        steps.append(source.layout.format(root=choices.root).replace("`", "") + needs)
        steps.append(f"Train: python train.py --config {config}")
    else:
        steps.append(f"Train: python train.py --config {config} (generated data)")
        steps.append(f"Use your data: build_datasets in {choices.package}/build.py.")
    steps.append(f"More GPUs: {FRAMEWORKS[choices.framework].one_node} train.py --config {config}")
    return [*steps, "Tests: python -m pytest"]
