"""Ask the interpreter about itself, behind the walls of the sandbox: a project may bring any program as Python."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcoder.environment import probe
from dlcoder.errors import UserError
from dlcoder.sandbox.interpreters import Interpreter, find_interpreter
from dlcoder.text import clean

# torch from a cold disk and without bytecode takes long; more means that it hangs.
TIMEOUT_S = 90.0
# Imported after torch where installed: compiled against it, so that a mismatch shows. Distribution to module.
_IMPORTS = {"torchvision": "torchvision", "torchaudio": "torchaudio", "xformers": "xformers", "triton": "triton"}
_PASSED_ON = ("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "LD_LIBRARY_PATH", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")


@dataclass
class Answer:
    """What the interpreter said.

    Attributes:
        ran: Whether it was asked at all.
        reason: Why it was not, or why it broke off.
        facts: By kind: "python", "torch" and "devices".
        failures: Module to error, for the imports that failed.
    """

    ran: bool = False
    reason: str = ""
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


async def choose(python: str | None, project: Path) -> Interpreter:
    """Find the interpreter to describe: one with torch if there is any.

    Raises:
        UserError: `python` is no interpreter.
    """
    try:
        return await find_interpreter(python, project)
    except UserError:
        return await find_interpreter(python, project, need_torch=False)


async def question(interpreter: Interpreter, installed: Iterable[str], environ: Mapping[str, str], gpu: bool) -> Answer:
    """Import torch and what is built on it, and return what came of it.

    Args:
        interpreter: Which Python to ask.
        installed: Names of the installed distributions.
        environ: Where the settings come from that may break it.
        gpu: Whether the machine's GPUs are passed through.
    """
    from dlcoder.sandbox.runner import Job, Limits, run

    present = set(installed)
    modules = [module for distribution, module in _IMPORTS.items() if distribution in present]
    libraries = [Path(entry) for entry in environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]
    job = Job(
        argv=("python", "-c", Path(probe.__file__).read_text("utf-8"), *modules),
        env={name: environ[name] for name in _PASSED_ON if name in environ},
        read_only=tuple(path for path in libraries if path.is_absolute() and path.is_dir()),
        limits=Limits(timeout_s=TIMEOUT_S),
        gpu=gpu,
        collect=False,
    )
    try:
        outcome = await run(job, interpreter)
    except UserError as error:
        return Answer(reason=str(error))
    output = outcome.output_path.read_text("utf-8", "replace")
    answer = parse(output)
    if outcome.status == "error":
        answer.reason = outcome.reason
    elif outcome.status != "exited" or outcome.exit_code:
        blame(answer, output, outcome.limit or f"died with status {outcome.exit_code}")
    return answer


def _lines(output: str) -> Iterable[dict[str, Any]]:
    for line in output.splitlines():
        _, marker, text = line.partition(probe.MARKER)
        if marker:
            try:
                yield json.loads(text)
            except json.JSONDecodeError:
                continue


def parse(output: str) -> Answer:
    """Collect the findings among whatever else was printed."""
    answer = Answer()
    for finding in _lines(output):
        answer.ran = True
        kind = finding.pop("kind", "")
        if kind == "import" and finding.get("error"):
            answer.failures[str(finding.get("module"))] = clean(str(finding["error"]), 300)
        elif kind in ("python", "torch", "devices"):
            answer.facts[kind] = finding
    return answer


def blame(answer: Answer, output: str, end: str) -> None:
    """Put a death on the import that had begun and did not come back."""
    open_module = ""
    for finding in _lines(output):
        if finding.get("kind") == "start":
            open_module = str(finding.get("module"))
        elif finding.get("kind") == "import":
            open_module = ""
    answer.reason = end
    if open_module:
        answer.failures[open_module] = f"the process {end} while importing it"
