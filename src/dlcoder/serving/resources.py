"""What a client can read: the catalogue of components, and what is known about each cause of failure."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel

from dlcoder.errors import UserError
from dlcoder.serving.nearest import nearest

SCHEME = "dlcoder://"
_COMPONENTS = Path(__file__).parents[1] / "templates" / "components"


@dataclass(frozen=True)
class Listing:
    """A resource, or a family of them, as a client's list shows it."""

    uri: str
    name: str
    title: str
    description: str
    mime_type: str


def static_resources() -> list[Listing]:
    """The overviews."""
    found = []
    if components():
        found.append(
            Listing(f"{SCHEME}templates", "templates", "Component catalogue", "Every component with its summary.", _MD)
        )
    if has_causes():
        found.append(Listing(f"{SCHEME}causes", "causes", "Causes of failure", "Every cause that is known.", _MD))
    return found


def resource_families() -> list[Listing]:
    """The URI templates of what the overviews list."""
    found = []
    if components():
        found.append(
            Listing(
                SCHEME + "templates/{kind}/{name}",
                "template",
                "Component source",
                "One component's Python source.",
                _PY,
            )
        )
    if has_causes():
        about = "How it fails, how to tell it from its look-alikes, how to verify and fix it."
        found.append(Listing(SCHEME + "causes/{id}", "cause", "Cause of failure", about, _MD))
    return found


def read_resource(uri: str) -> tuple[str, str]:
    """The text of a resource and its MIME type.

    Raises:
        UserError: There is no such resource.
    """
    family, *names = [unquote(part) for part in uri.removeprefix(SCHEME).strip("/").split("/")]
    if family == "templates" and not names and components():
        return "\n".join(f"- `{kind}/{name}`: {_summary(path)}" for (kind, name), path in components().items()), _MD
    if family == "templates" and len(names) == 2 and components():
        return _pick("/".join(names), {f"{kind}/{name}": path for (kind, name), path in components().items()}), _PY
    if family == "causes" and has_causes() and len(names) < 2:
        causes = _causes()
        if not names:
            return "\n".join(f"- `{id}`: {_field(cause, 'title')}" for id, cause in causes.items()), _MD
        if names[0] in causes:
            return _cause_page(names[0], causes[names[0]]), _MD
        raise _unknown("cause", names[0], causes)
    listed = ", ".join(item.uri for item in [*static_resources(), *resource_families()])
    raise UserError("There is no such resource.", f"There are: {listed or 'none'}.")


def values_of(argument: str, chosen: Mapping[str, str]) -> list[str]:
    """What a blank of a URI template may be, given the blanks filled so far."""
    if argument == "kind":
        return sorted({kind for kind, _ in components()})
    if argument == "name":
        return sorted(name for kind, name in components() if chosen.get("kind", kind) == kind)
    return sorted(_causes()) if argument == "id" and has_causes() else []


@cache
def components() -> dict[tuple[str, str], Path]:
    """Every component's file by kind and name."""
    files = sorted(path for path in _COMPONENTS.glob("*/*.py") if not path.stem.startswith("_"))
    return {(path.parent.name, path.stem): path for path in files}


@cache
def has_causes() -> bool:
    """Whether this build knows causes."""
    return find_spec("dlcoder.knowledge.causes") is not None and hasattr(_causes_module(), "load_causes")


_MD, _PY = "text/markdown", "text/x-python"


def _causes_module() -> Any:
    import dlcoder.knowledge.causes

    return dlcoder.knowledge.causes


def _causes() -> dict[str, Any]:
    causes: dict[str, Any] = _causes_module().load_causes()
    return causes


def _pick(name: str, files: Mapping[str, Path]) -> str:
    if name not in files:
        raise _unknown("component", name, files)
    return files[name].read_text(encoding="utf-8")


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> UserError:
    meant = nearest(name, known)
    hint = f"Did you mean {meant!r}?" if meant else f"There are {', '.join(known)}."
    return UserError(f"There is no {what} of that name.", hint)


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _field(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _cause_page(id: str, cause: Any) -> str:
    lines = [f"# {_field(cause, 'title')} (`{id}`)", "", str(_field(cause, "explanation") or "").strip()]
    for heading in ("symptoms", "lookalikes", "verify", "fix", "sources"):
        items = _plain(_field(cause, heading)) or []
        if items:
            lines += ["", f"## {heading.capitalize()}", *(f"- {_item(item)}" for item in items)]
    return "\n".join(lines)


def _item(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    return "; ".join(f"{name}: {str(value).strip()}" for name, value in item.items() if value not in (None, ""))
