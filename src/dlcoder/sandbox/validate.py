"""Checking any piece of deep-learning code: from its text and contract to a report of what was measured."""

import ast
import difflib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dlcoder.errors import UserError
from dlcoder.progress import Progress
from dlcoder.sandbox import artifacts
from dlcoder.sandbox.harness.component.catalogue import CHECKS, CONTRACT, Entry
from dlcoder.sandbox.interpreters import Interpreter, find_interpreter
from dlcoder.sandbox.jobs import Frame, Job, Limits, Outcome
from dlcoder.sandbox.report import Check, Isolation, Report
from dlcoder.sandbox.runner import run

_BUDGET_S = 60.0
_LIMITS = Limits(timeout_s=150, memory_mb=6144)
_PREPARING = ("loads", "interface")


async def validate_code(
    code: str | None,
    path: Path | None,
    kind: str,
    contract: dict[str, Any],
    checks: list[str] | None,
    python: str | None,
    device: str,
    progress: Progress,
) -> Report:
    """Run the checks of a kind on code that dlcoder has never seen.

    Args:
        code: The code itself; else `path`.
        path: A file of Python.
        kind: "loss", "model", "dataset", "metric", "optimizer", "train_script" or "project".
        contract: What the caller knows (`CONTRACT` lists the keys); the rest is inferred and reported.
        checks: Names or numbers of checks; `None` for all that apply.
        python: The interpreter to use.
        device: "auto", "cpu" or "cuda".
        progress: Told the name of each check as it starts.

    Raises:
        UserError: Neither or both of code and path, an unknown check or contract key, no usable interpreter.
    """
    if (code is None) == (path is None):
        raise UserError("Exactly one of `code` and `path` is needed.", "Give the code, or the file that holds it.")
    if kind in ("train_script", "project"):
        return await _smoke(code, path, kind, checks, python, device, progress)
    _known_keys(contract)
    wanted = _known_checks(kind, checks)
    request, read_only = _request(code, path, kind, contract, wanted)
    interpreter = await find_interpreter(python, path.parent if path else None)
    job = Job(
        harness=json.dumps(request).encode(),
        warm=True,
        read_only=read_only,
        gpu=device != "cpu" and Path("/dev/nvidiactl").exists(),
        limits=_LIMITS,
        collect=False,
    )
    outcome = await run(job, interpreter, on_frame=_teller(progress))
    return _report(outcome, interpreter, kind, wanted, "cuda" if job.gpu else "cpu")


def _known_keys(contract: dict[str, Any]) -> None:
    for key in contract:
        if key not in CONTRACT:
            near = difflib.get_close_matches(key, CONTRACT, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise UserError(f"The contract has no key {key!r}.", f"{hint}It may hold: {', '.join(CONTRACT)}.")


def _known_checks(kind: str, checks: list[str] | None) -> list[str]:
    if kind not in CHECKS:
        raise UserError(
            f"There is no kind {kind!r}.", f"Use one of: {', '.join([*CHECKS, 'train_script', 'project'])}."
        )
    names = {key: entry.name for entry in CHECKS[kind] for key in (entry.name, entry.id)}
    for check in checks or ():
        if check not in names:
            near = difflib.get_close_matches(check, names, 3)
            hint = f"Near: {', '.join(near)}. " if near else ""
            all_names = ", ".join(entry.name for entry in CHECKS[kind])
            raise UserError(f"There is no check {check!r} for a {kind}.", f"{hint}All: {all_names}.")
    return [names[check] for check in checks or ()]


def _request(
    code: str | None, path: Path | None, kind: str, contract: dict[str, Any], wanted: list[str]
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """The harness's request, and the directories that the code's imports need to see."""
    request: dict[str, Any] = {
        "kind": "component",
        "component": kind,
        "contract": contract,
        "checks": wanted,
        "budget_s": _BUDGET_S,
    }
    if path is None:
        return request | {"code": code, "filename": "code.py"}, ()
    if not path.is_file():
        raise UserError(f"{path} is not a file.", "Give a file of Python, or a project with kind='project'.")
    text = path.read_text(encoding="utf-8", errors="replace")
    root, module = _package(path)
    if module == path.stem and not _imports_siblings(text, path.parent):
        return request | {"code": text, "filename": path.name}, ()
    if root == Path.home() or len(root.parts) < 3:
        raise UserError(
            f"{path.name} imports its neighbors, and {root} is too wide to show to untrusted code.",
            "Move the file and what it imports into a directory of their own.",
        )
    return request | {"filename": str(path), "module": module, "sys_path": [str(root)]}, (root,)


def _package(path: Path) -> tuple[Path, str]:
    """The directory that imports start from, and the file's name as a module."""
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _imports_siblings(text: str, folder: Path) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    roots: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split(".")[0])
    return any((folder / f"{root}.py").is_file() or (folder / root / "__init__.py").is_file() for root in roots)


def _teller(progress: Progress) -> Callable[[Frame], None]:
    def tell(frame: Frame) -> None:
        if isinstance(frame.get("running"), str):
            progress(str(frame["running"])[:60], float(frame.get("fraction") or 0.0))

    return tell


def _report(outcome: Outcome, interpreter: Interpreter, kind: str, wanted: list[str], device: str) -> Report:
    """Frames count only if the harness itself ended the stream."""
    entries = {entry.name: entry for entry in CHECKS[kind]}
    checks = _checks(outcome.frames, entries)
    finished = outcome.complete and any(frame.get("done") is True for frame in outcome.frames)
    if not finished:
        checks.append(_unfinished(outcome))
    judged = [check for check in checks if check.status == "pass" and (wanted or check.name not in _PREPARING)]
    bad = [check for check in checks if check.status in ("fail", "error")]
    return Report(
        passed=finished and bool(judged) and not bad,
        checks=checks,
        device=device,
        interpreter=str(interpreter),
        isolation=Isolation(layers=list(outcome.layers)),
        duration_s=round(outcome.duration_s, 3),
        log_tail=outcome.output[-2000:] if bad else "",
        artifacts=artifacts.keep(outcome),
    )


def _checks(frames: list[Frame], entries: dict[str, Entry]) -> list[Check]:
    found: dict[str, Check] = {}
    for frame in frames:
        given = frame.get("check")
        # "integrity" is the harness's own: the code tampered with its judge.
        if not isinstance(given, dict) or given.get("name") not in (*entries, "integrity"):
            continue
        check = Check.model_validate(given)
        if check.name in found:
            check = Check(
                name=check.name, status="error", detail="It was reported twice: the stream was tampered with."
            )
        found[check.name] = check
    return list(found.values())


def _unfinished(outcome: Outcome) -> Check:
    """What ended the run before the harness could."""
    running = [str(frame["running"]) for frame in outcome.frames if isinstance(frame.get("running"), str)]
    during = f" during {running[-1]}" if running else ""
    cause = outcome.limit or outcome.reason or f"the process ended with status {outcome.exit_code}"
    fix = "Make the code end: no exit, no endless loop, no closing of file descriptors at import or in a call."
    if outcome.struck:
        fix = f"Lower what it needs ({outcome.struck}), or state smaller contract.sizes."
    return Check(
        name=running[-1] if running else "run",
        status="error",
        measured=cause,
        expected="the checks run to their end",
        detail=f"The run ended{during} before its checks had.",
        fix=fix,
    )


async def _smoke(
    code: str | None,
    path: Path | None,
    kind: str,
    checks: list[str] | None,
    python: str | None,
    device: str,
    progress: Progress,
) -> Report:
    """Training scripts and projects run as they are, under the checks of whole projects."""
    from dlcoder.sandbox.smoke import smoke_test

    def start(project: Path) -> Awaitable[Report]:
        return smoke_test(project, checks or ["one_batch"], 2, python, device, 300.0, "local", progress)

    if path is not None:
        return await start(path)
    with TemporaryDirectory(prefix="dlcoder-") as folder:
        (Path(folder) / "train.py").write_text(code or "", encoding="utf-8")
        return await start(Path(folder))
