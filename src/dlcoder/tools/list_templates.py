"""The tool `list_templates`: what the catalogue holds."""

import re
from typing import Any, Literal

from pydantic import BaseModel, Field

from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

Kind = Literal["losses", "models", "datasets", "metrics", "engine", "utils", "configs", "launchers"]

_DESCRIPTION = """\
Lists components, config files, launch scripts. Narrow with `kind` or words in `query` ("imbalanced segmentation"). \
Get one with render_template."""


class ListTemplatesInput(ToolInput):
    """What to look for."""

    kind: Kind | None = Field(None, description="Only this kind.")
    query: str | None = Field(None, description="Words of name, summary, tags.")


class TemplateItem(BaseModel):
    """One component."""

    id: str
    summary: str
    params: dict[str, Any] = Field(description="Its parameters with their defaults; null where it must be given.")
    tags: list[str]


class ListTemplatesOutput(ToolOutput):
    """The components found."""

    templates: list[TemplateItem]

    def text(self) -> str:
        """One line a component."""
        if not self.templates:
            return "No component matches. Leave out `query` to see all."
        return "\n".join(f"{item.id}({', '.join(item.params)}): {item.summary}" for item in self.templates)


async def _run(arguments: ListTemplatesInput, call: Call) -> ListTemplatesOutput:
    from dlcoder.templates.catalogue import catalogue

    words = _words(arguments.query or "")
    found = []
    for component in catalogue().values():
        if arguments.kind and component.kind != arguments.kind:
            continue
        own = _words(" ".join([component.id, component.symbol, component.summary, *component.tags]))
        if all(any(_akin(word, other) for other in own) for word in words):
            params = {name: parameter.default for name, parameter in component.params.items()}
            found.append(TemplateItem(id=component.id, summary=component.summary, params=params, tags=component.tags))
    return ListTemplatesOutput(templates=found)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _akin(word: str, other: str) -> bool:
    """Whether two words differ in their ending at most: imbalanced and imbalance, losses and loss."""
    return other.startswith(word[: max(len(word) - 2, 3)])


TOOL = Tool(
    name="list_templates",
    title="List components",
    description=_DESCRIPTION,
    input=ListTemplatesInput,
    output=ListTemplatesOutput,
    run=_run,
)
