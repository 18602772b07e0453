"""The record of a run: every check with its measured value, its bound, and what was skipped and why."""

from typing import Literal

from pydantic import BaseModel, Field

Status = Literal["pass", "fail", "error", "skip"]


class Check(BaseModel):
    """One check and what it measured. A check that did not run is `skip` with its reason in `detail`, never `pass`."""

    name: str
    status: Status
    measured: str = Field(default="", description="The value found, with its unit.")
    expected: str = Field(default="", description="The bound that it was held against.")
    detail: str = Field(default="", description="What the check proves, or why it failed or was skipped.")
    fix: str = Field(default="", description="For a failure: what to change, by the names and lines of the code.")


class Isolation(BaseModel):
    """The layers that stood between the code and this machine while it ran, strongest first."""

    layers: list[str] = Field(default_factory=list)


class Report(BaseModel):
    """What was run, where, behind which walls, and what came of it."""

    passed: bool = Field(description="Whether at least one check ran and none failed or errored.")
    checks: list[Check] = Field(default_factory=list)
    device: str = Field(default="cpu", description="What the code ran on.")
    interpreter: str = Field(default="", description="The Python that ran it, with its torch version.")
    isolation: Isolation = Field(default_factory=Isolation)
    duration_s: float = Field(default=0.0, description="Wall time in seconds.")
    log_tail: str = Field(default="", description="The end of the program's output, where something failed.")
    artifacts: list[str] = Field(default_factory=list, description="Files kept for a closer look.")

    def links(self) -> list[str]:
        """The addresses of what was kept."""
        return self.artifacts

    def read_on(self) -> str:
        """Where a failure can be studied: a line of text, empty after a success or where nothing was kept."""
        return "" if self.passed or not self.artifacts else f"In full: {', '.join(self.artifacts)}"
