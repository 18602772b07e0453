"""The tool that checks any piece of deep-learning code by running it."""

import re
from collections import defaultdict
from typing import Any, Literal

from pydantic import Field

from dlcoder.sandbox.report import Check, Report
from dlcoder.text import clean
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

_DESCRIPTION = """Proves a loss, model, dataset, metric, optimizer or schedule by running it in a sandbox: gradients, \
ignored labels, fp16 overflow, reductions, batch leaks, causal masks, worker seeds, resume and more. Works on code it \
has never seen: shapes and arguments are inferred and listed as assumptions. Call it on each component before you hand \
it over, and after each fix.
Returns passed, and per check the measured value, its bound, and the line to change.
contract, all optional: {target, init: {arg: value}, inputs: {logits: {shape: ["B","C","H","W"]}, mask: {shape: \
["B","H","W"], dtype: "int64", range: [0,"C"]}}, num_classes, ignore_index, reduction, sizes, ...}."""

_FAILURES = 6


class ValidateCodeInput(ToolInput):
    """What to check."""

    code: str | None = Field(default=None, description="The Python code itself. Give this or `path`.")
    path: str | None = Field(default=None, description="A Python file, or a project's directory for kind='project'.")
    kind: Literal["loss", "model", "dataset", "metric", "optimizer", "train_script", "project"] = Field(
        description="What it is; 'optimizer' also covers schedules, parameter groups and EMA."
    )
    contract: dict[str, Any] = Field(
        default_factory=dict,
        description="What you know better than it can infer; also output, causal, stochastic.",
    )
    checks: list[str] | None = Field(default=None, description="Names of checks to run. Default: all that apply.")
    python: str | None = Field(default=None, description="Interpreter to run it with. Default: the project's own.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where to run.")


class ValidateCodeOutput(Report, ToolOutput):
    """The record of the run."""

    def text(self) -> str:
        """The verdict, the failures with their fixes, one line for the rest."""
        groups: dict[str, list[Check]] = defaultdict(list)
        for check in self.checks:
            groups[check.status].append(check)
        bad = [*groups["error"], *groups["fail"]]
        count = (
            f"{len(groups['pass'])} passed, {len(groups['fail'])} failed, {len(groups['error'])} could not be judged"
        )
        verdict = "PASSED" if self.passed else "NOT PASSED"
        lines = [f"{verdict}: {count}, {len(groups['skip'])} skipped ({self.duration_s:.1f} s)."]
        lines += [_failure(check) for check in bad[:_FAILURES]]
        if len(bad) > _FAILURES:
            lines.append("Also: " + ", ".join(check.name for check in bad[_FAILURES:]) + " (see `checks`).")
        lines += [f"{check.detail[:400]}" for check in groups["pass"] if check.name == "interface"]
        if groups["pass"]:
            lines.append("Passed: " + ", ".join(check.name for check in groups["pass"]) + ".")
        if groups["skip"]:
            lines.append("Skipped: " + _skipped(groups["skip"]) + ".")
        if more := self.read_on():
            lines.append(more)
        weak = "" if self.isolation.layers else " without isolation"
        lines.append(f"Ran on {self.device}{weak} with {self.interpreter}.")
        return "\n".join(lines)


def _failure(check: Check) -> str:
    bound = f" (must be: {clean(check.expected, 120)})" if check.expected else ""
    text = f"- {check.name}: {clean(check.measured, 160)}{bound}. {clean(check.detail, 200)}"
    return f"{text} Fix: {clean(check.fix, 260)}" if check.fix else text


# Reasons that only say that the code is of another kind: the number of such checks is enough.
_OTHER_KIND = re.compile(
    r"(applies to|not |no |it (takes|does not|learns|mines|updates)|the (constructor|call) (takes|has) no)"
)


def _skipped(checks: list[Check]) -> str:
    """Names by reason; those that do not apply to such code are only counted."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for check in checks:
        if not _OTHER_KIND.match(check.detail) or "CUDA" in check.detail:
            by_reason[clean(check.detail, 70)].append(check.name)
    told = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    rest = len(checks) - sum(map(len, by_reason.values()))
    return "; ".join([*told, f"{rest} that are for other code"] if rest else told)


async def _run(arguments: ValidateCodeInput, call: Call) -> ValidateCodeOutput:
    from dlcoder.sandbox.validate import validate_code

    path = call.roots.resolve(arguments.path) if arguments.path is not None else None
    report = await validate_code(
        arguments.code,
        path,
        arguments.kind,
        arguments.contract,
        arguments.checks,
        arguments.python,
        arguments.device,
        call.progress,
    )
    return ValidateCodeOutput.model_validate(report.model_dump())


TOOL = Tool(
    name="validate_code",
    title="Prove code by running it",
    description=_DESCRIPTION,
    input=ValidateCodeInput,
    output=ValidateCodeOutput,
    run=_run,
)
