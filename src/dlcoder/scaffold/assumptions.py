"""What a request left open, how it was settled, and why."""

import re
from typing import Any

from pydantic import BaseModel, Field

from dlcoder.scaffold.spec import ProjectSpec


class Assumption(BaseModel):
    """Something the request left open."""

    field: str = Field(description="The field of the spec that settles it.")
    value: str
    reason: str


class Assumptions:
    """Fills gaps, and takes a note of each."""

    def __init__(self, spec: ProjectSpec) -> None:
        self.spec = spec
        self.notes: list[Assumption] = []
        if spec.goal:
            self.note("goal", spec.goal, _promise(spec.goal))

    def __call__(self, name: str, given: Any, default: Any, reason: str) -> Any:
        """Return what was given for a field, or the default, noted with its reason."""
        if given is not None:
            return given
        self.note(name, default, reason)
        return default

    def note_unless_given(self, name: str, value: Any, reason: str) -> Any:
        """For a field that has its default in the spec itself."""
        part: BaseModel = self.spec
        *outer, last = name.split(".")
        for key in outer:
            part = getattr(part, key)
        if last not in part.model_fields_set:
            self.note(name, value, reason)
        return value

    def note(self, name: str, value: Any, reason: str) -> None:
        """Note how a field was settled."""
        shown = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
        self.notes.append(Assumption(field=name, value=str(shown), reason=reason))


def _promise(goal: str) -> str:
    wants_score = re.search(
        r"guarant|at least|must reach|\d\s*%|[≥>]=?\s*\d|sota|state.of.the.art", goal, re.IGNORECASE
    )
    promised = "promised are code that ran its checks here, exact resume, and metrics exact on any number of processes"
    if wants_score:
        return f"No score can be promised before training on your data; {promised}."
    return f"Not a setting; {promised}."
