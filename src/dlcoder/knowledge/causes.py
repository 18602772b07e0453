"""The causes of failure that dlcoder knows: what each is, how to tell it, how to prove it, how to mend it.

`causes/<family>.yaml` is what people edit. Parsing it takes tens of milliseconds, so `causes.json`, written from it by
`python -m dlcoder.knowledge.causes`, is what is read; a test keeps the two equal.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_COMPILED = _HERE / "causes.json"


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Another cause that shows the same symptoms.

    Attributes:
        cause: Its id.
        tell_apart: What is seen in that case and not in this one.
    """

    cause: str
    tell_apart: str


@dataclass(frozen=True, slots=True)
class Verification:
    """A check that decides for or against a cause.

    Attributes:
        action: What to do, in a few words.
        command: A command to run, or a few lines to put into the training script.
        expect: What either outcome means.
        cost: Seconds of a person and a machine together.
    """

    action: str
    command: str
    expect: str
    cost: float


@dataclass(frozen=True, slots=True)
class Fix:
    """A way to mend a cause.

    Attributes:
        action: What to change, in a few words.
        patch: The change as lines of a diff or as commands.
    """

    action: str
    patch: str


@dataclass(frozen=True, slots=True)
class Cause:
    """One root cause.

    Attributes:
        id: The fixed id that answers carry.
        family: The part of training that it belongs to: numerics, memory, cuda, ...
        title: A few words for a person.
        explanation: The mechanism, and what confirms it.
        symptoms: The topics under which a person would look for it: nan, hang, oom, ...
        lookalikes: Causes that it is taken for.
        verify: Checks, cheapest decisive first.
        fix: Remedies, best first.
        sources: Where more is to be read.
    """

    id: str
    family: str
    title: str
    explanation: str
    symptoms: tuple[str, ...]
    lookalikes: tuple[Lookalike, ...]
    verify: tuple[Verification, ...]
    fix: tuple[Fix, ...]
    sources: tuple[str, ...]


@cache
def load_causes() -> dict[str, Cause]:
    """Return every cause by id, family by family. The dictionary is shared: do not change it."""
    return {cause: _typed(cause, fields) for cause, fields in json.loads(_COMPILED.read_bytes()).items()}


def _typed(cause: str, fields: dict[str, Any]) -> Cause:
    return Cause(
        id=cause,
        family=fields["family"],
        title=fields["title"],
        explanation=fields["explanation"],
        symptoms=tuple(fields["symptoms"]),
        lookalikes=tuple(Lookalike(**each) for each in fields["lookalikes"]),
        verify=tuple(Verification(**each) for each in fields["verify"]),
        fix=tuple(Fix(**each) for each in fields["fix"]),
        sources=tuple(fields["sources"]),
    )


def compile_causes() -> str:
    """Return the text of `causes.json` as the YAML files say it now."""
    import yaml

    merged: dict[str, dict[str, Any]] = {}
    for path in sorted((_HERE / "causes").glob("*.yaml")):
        for cause, fields in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            # Folded and literal blocks end in a newline that no answer wants.
            merged[cause] = {"family": path.stem, **_stripped(fields)}
    return json.dumps(merged, ensure_ascii=False, indent=0) + "\n"


def _stripped(value: Any) -> Any:
    if isinstance(value, str):
        return value.rstrip()
    if isinstance(value, list):
        return [_stripped(each) for each in value]
    return {key: _stripped(each) for key, each in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    _COMPILED.write_text(compile_causes(), encoding="utf-8")
