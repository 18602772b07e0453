"""One file per tool: its input, its output, and a thin handler that calls one domain package."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcoder.tools.base import AnyTool


@dataclass(frozen=True)
class Listed:
    """A tool's place in the list, known without importing it.

    Attributes:
        name: The tool, and the module that holds it.
        command: The same operation on the command line.
        when: When an agent should reach for it, as the server says it in its instructions.
    """

    name: str
    command: str
    when: str

    @property
    def exists(self) -> bool:
        """Whether the tool is part of this build."""
        return find_spec(f"dlcoder.tools.{self.name}") is not None

    def load(self) -> "AnyTool":
        """Import the tool."""
        tool: AnyTool = import_module(f"dlcoder.tools.{self.name}").TOOL
        return tool


TOOLS = (
    Listed(
        "scaffold_project",
        "scaffold",
        "starting any training project: writes a complete PyTorch project (config, data, model, DDP, AMP, exact "
        "resume, "
        "tests) and trains it for a few steps before you see it",
    ),
    Listed(
        "render_template", "render", "needing a loss, model, dataset or metric: get one that passed its checks here"
    ),
    Listed("list_templates", "templates", "looking for which components there are"),
    Listed(
        "validate_code",
        "validate",
        "having written or changed a loss, model, dataset, metric, optimizer or train script: runs it in a sandbox "
        "against shape, gradient, dtype, device and numerical checks, before you say that it works",
    ),
    Listed("smoke_test", "smoke", "having changed a project: one real batch, and torchrun with several processes"),
    Listed(
        "diagnose_log",
        "diagnose",
        "a run crashed, hung, went NaN, ran out of memory, is slow or does not learn: pass the log files of all "
        "ranks "
        "BEFORE guessing; ranked causes come back with quoted evidence, a check for each and the fix",
    ),
    Listed("make_checklist", "checklist", "a symptom without a log: what to check, cheapest and likeliest first"),
    Listed(
        "review_code", "review", "finding the silent bugs of training code: eval mode, loss scaling, leaks, seeding"
    ),
    Listed("plan_experiment", "plan", "planning an ablation or a search: controls, seeds, power and budget worked out"),
    Listed("summarize_runs", "results", "comparing finished runs: tables with intervals and tests, plots"),
    Listed("describe_environment", "env", "needing to know what this machine has: GPUs, torch, limits that bite"),
)
"""Every tool of dlcoder, in the order in which clients see them."""


def available() -> tuple[Listed, ...]:
    """The tools of this build."""
    return tuple(listed for listed in TOOLS if listed.exists)
