"""What a client can read: the components, what is known about each cause of failure, and what its runs left."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from dlcoder.errors import UserError
from dlcoder.knowledge.causes import Cause, load_causes
from dlcoder.sandbox import artifacts
from dlcoder.serving.nearest import nearest

SCHEME = "dlcoder://"
RUN_FILES = artifacts.ADDRESS + "{id}/{name}"
_RUN_FILES = {
    "output.log": "Everything that the run printed.",
    "frames.jsonl": "Everything that the run measured.",
    "report.html": "All tables and charts as one page; it needs no network.",
    "charts.svg": "The charts.",
}
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
    return [
        Listing(f"{SCHEME}templates", "templates", "Component catalogue", "Every component with its summary.", _MD),
        Listing(f"{SCHEME}causes", "causes", "Causes of failure", "Every way of failing that is known.", _MD),
    ]


def resource_families() -> list[Listing]:
    """The URI templates of what the overviews list."""
    component = "The source of one component: plain Python that has passed its checks."
    cause = "How it fails, how to tell it from its look-alikes, how to verify and fix it."
    run = "What a run printed (output.log) and measured (frames.jsonl), in full; answers link to it."
    return [
        Listing(SCHEME + "templates/{kind}/{name}", "template", "Component", component, _PY),
        Listing(SCHEME + "causes/{id}", "cause", "Cause of failure", cause, _MD),
        Listing(RUN_FILES, "run", "Record of a run", run, "text/plain"),
    ]


def run_file(uri: str) -> Listing:
    """One file of a run, which is in no list: only the answer that it belongs to links to it."""
    name = uri.rpartition("/")[2]
    title = "Summary of runs" if name in ("report.html", "charts.svg") else "Record of a run"
    return Listing(uri, name, title, _RUN_FILES[name], artifacts.KINDS[name])


def read_resource(uri: str) -> tuple[str, str]:
    """The text of a resource and its MIME type.

    Raises:
        UserError: There is no such resource.
    """
    match [unquote(part) for part in uri.removeprefix(SCHEME).strip("/").split("/")]:
        case ["templates"]:
            return "\n".join(f"- `{kind}/{name}`: {_summary(path)}" for (kind, name), path in components().items()), _MD
        case ["templates", kind, name]:
            files = {f"{kind}/{name}": path for (kind, name), path in components().items()}
            return _source(f"{kind}/{name}", _pick("component", f"{kind}/{name}", files))
        case ["causes"]:
            return "\n".join(f"- `{id}`: {cause.title}" for id, cause in load_causes().items()), _MD
        case ["causes", id]:
            return cause_page(_pick("cause", id, load_causes())), _MD
        case ["runs", id, name]:
            return artifacts.read(id, name)
    raise no_such_resource()


def no_such_resource() -> UserError:
    """What to say to someone who asks for an address where nothing is."""
    listed = ", ".join(item.uri for item in [*static_resources(), *resource_families()])
    return UserError("There is no such resource.", f"There are: {listed}.")


def values_of(argument: str, chosen: Mapping[str, str]) -> list[str]:
    """What a blank of a URI template may be, given the blanks filled so far."""
    if argument == "kind":
        return sorted({kind for kind, _ in components()})
    if argument == "name":
        return sorted(name for kind, name in components() if chosen.get("kind", kind) == kind)
    return sorted(load_causes())


@cache
def components() -> dict[tuple[str, str], Path]:
    """Every component's sidecar by kind and name."""
    return {(path.parent.name, path.stem): path for path in sorted(_COMPONENTS.glob("*/*.yaml"))}


def cause_page(cause: Cause) -> str:
    """All that is known about a cause, for a reader."""
    lines = [f"# {cause.title} (`{cause.id}`)", "", cause.explanation.strip(), "", "## Verify"]
    for check in cause.verify:
        lines += ["", f"{check.action} (about {check.cost:g} s)", *_code(check.command), f"Expect: {check.expect}"]
    lines += ["", "## Fix"]
    for fix in cause.fix:
        lines += ["", fix.action, *_code(fix.patch)]
    lines += ["", "## Look-alikes", *(f"- `{other.cause}`: {other.tell_apart}" for other in cause.lookalikes)]
    lines += ["", "## Sources", *(f"- {url}" for url in cause.sources)]
    return "\n".join(lines)


_MD, _PY = "text/markdown", "text/x-python"
Found = TypeVar("Found")


def _pick(what: str, name: str, known: Mapping[str, Found]) -> Found:
    if name in known:
        return known[name]
    static = f"{SCHEME}causes" if what == "cause" else f"{SCHEME}templates"
    meant = nearest(name, known)
    hint = f"Did you mean {meant!r}?" if meant else f"All are listed in {static}"
    raise UserError(f"There is no {what} of that name.", hint)


def _code(text: str) -> list[str]:
    return ["```", text.strip(), "```"] if text.strip() else []


def _summary(sidecar: Path) -> str:
    """Its first line, without what reads all of it."""
    first = sidecar.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("summary: ").strip('"')


def _source(component: str, sidecar: Path) -> tuple[str, str]:
    """The code of a component, as it is without parameters."""
    if (file := sidecar.with_suffix(".py")).is_file():
        return file.read_text(encoding="utf-8"), _PY
    from dlcoder.scaffold.catalogue_entry import render_entry
    from dlcoder.scaffold.component import find_component

    rendered = render_entry(find_component(component), {})
    return rendered.code, _PY if rendered.filename.endswith(".py") else "text/x-shellscript"
