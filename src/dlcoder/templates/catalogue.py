"""The catalogue of components: their sidecars, loaded and checked."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from dlcoder.templates.kept import KEPT

FOLDER = Path(__file__).parent / "components"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Record):
    """A parameter of a component's constructor or function."""

    meaning: str
    default: Any = None

    @property
    def required(self) -> bool:
        """Whether a caller must give it."""
        return "default" not in self.model_fields_set


class TensorSpec(_Record):
    """An example input: its shape in numbers and letters, its type, and its values' range."""

    shape: list[int | str]
    dtype: str
    range: list[int | float | str] | None = Field(None, description="From the first, to below the second.")
    ignore_index: int | None = None
    layout: str | None = Field(None, description="What the last dimension means, such as xyxy.")
    values: list[float] | None = Field(None, description="All that an element may be.")
    role: str | None = Field(None, description="What checks take it for, where name and type mislead.")


class Example(_Record):
    """How to build a small one: what letters stand for, and arguments without a default."""

    sizes: dict[str, int]
    args: dict[str, Any] = {}
    files: dict[str, str | dict[str, str]] = Field({}, description="What it reads: text, or {base64: ...}.")
    code: str = Field("", description="Python with a function make_example() that builds it, where it needs others.")


class AtInit(_Record):
    """The value of a loss that nothing has been learned for yet."""

    value: float | str = Field(description="A number, or a formula in the letters of the example.")
    given: dict[str, str] = Field(description="Inputs that this holds for, such as logits: zeros.")


class Contract(_Record):
    """What holds for every call."""

    output: TensorSpec | None = None
    at_init: AtInit | None = None
    invariants: list[str] = []
    reduction: str = ""


class Component(_Record):
    """One component of the catalogue.

    Attributes:
        id: Kind and name, as in "losses/dice".
        symbol: The public name that is called.
        example: Absent where nothing is called with tensors.
    """

    id: str
    summary: str
    tags: list[str]
    symbol: str
    params: dict[str, Parameter]
    example: Example | None = None
    inputs: dict[str, TensorSpec] = {}
    contract: Contract = Contract()
    references: list[str] = []
    pitfalls: list[str] = []
    requires: list[str] = []

    @property
    def kind(self) -> str:
        """The folder that it is in."""
        return self.id.partition("/")[0]

    @property
    def path(self) -> Path:
        """The file with its code, if it is a module of Python."""
        return FOLDER / f"{self.id}.py"

    @property
    def is_module(self) -> bool:
        """Whether it is a module of Python: else it is made by what the scaffold makes such files by."""
        return self.kind not in ("configs", "launchers")


@cache
def catalogue() -> dict[str, Component]:
    """Load every sidecar.

    Returns:
        The components by their id, in order.

    Raises:
        ValueError: A sidecar is malformed.
    """
    names = [file.relative_to(FOLDER).with_suffix("").as_posix() for file in sorted(FOLDER.glob("*/*.yaml"))]
    return {name: component(name) for name in names}


@cache
def component(name: str) -> Component:
    """Load the sidecar of one component, by its id.

    Raises:
        ValueError: It is malformed.
        OSError: There is none.
    """
    file = FOLDER / f"{name}.yaml"
    try:
        return Component(id=name, **_facts(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} is malformed: {error}") from error


def _facts(sidecar: str) -> Any:
    """What a sidecar says. JSON is read a hundred times as fast as YAML."""
    known = KEPT.get("sidecar", sidecar)
    if known is not None:
        return json.loads(known)
    import yaml

    try:
        facts = yaml.load(sidecar, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    KEPT.put(json.dumps(facts), "sidecar", sidecar)
    return facts
