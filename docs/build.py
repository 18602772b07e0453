"""Write the documentation site: a page for each tool, component, cause, check and rule, made from what dlcoder reads.

python docs/build.py [FOLDER]        (default: docs/site, which is not kept in the repository)
"""

import ast
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dlcoder.knowledge.causes import Cause, load_causes
from dlcoder.review.catalogue import catalogue as rules
from dlcoder.sandbox import smoke
from dlcoder.sandbox.harness import project
from dlcoder.sandbox.harness.component.catalogue import CHECKS, Entry
from dlcoder.scaffold.catalogue_entry import render_entry
from dlcoder.templates.catalogue import Component, TensorSpec, catalogue
from dlcoder.tools import Listed, available
from dlcoder.tools.base import AnyTool


class Page(NamedTuple):
    """A page.

    Attributes:
        path: Where it lies in the site, without a suffix.
        title: Its heading.
        summary: Its line in the index.
        text: Markdown.
    """

    path: str
    title: str
    summary: str
    text: str


def main() -> None:
    """Write every page, and an index of them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "site"
    if folder.exists() and any(folder.iterdir()) and not (folder / "index.md").is_file():
        sys.exit(f"{folder} holds something else: give an empty folder.")
    shutil.rmtree(folder, ignore_errors=True)
    count = write_site(folder)
    print(f"{count} pages in {folder}")


def write_site(folder: Path) -> int:
    """Write the site into an empty folder and return the number of its pages."""
    index = ["# dlcoder", "", "Made from the sources of the program: what it reads is what stands here.", ""]
    count = 0
    for section, pages in SECTIONS.items():
        index += [f"## {section}", ""]
        for page in pages():
            file = folder / f"{page.path}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"# {page.title}\n\n{page.text.strip()}\n", encoding="utf-8")
            index.append(f"- [{page.title}]({page.path}.md): {_line(page.summary)}")
            count += 1
        index.append("")
    (folder / "index.md").write_text("\n".join(index), encoding="utf-8")
    return count


def tool_pages() -> Iterator[Page]:
    """One page a tool: what it is for, its arguments and its answer."""
    for listed in available():
        yield Page(f"tools/{listed.name}", listed.name, f"when {listed.when}", _tool(listed, listed.load()))


def _tool(listed: Listed, tool: AnyTool) -> str:
    parts = [tool.description, "", f"On the command line: `dlcoder {listed.command}`.", "", "## Arguments", ""]
    parts += _fields(tool.input.model_json_schema())
    parts += ["", "## Answer", "", *_fields(tool.output.model_json_schema(), "always")]
    return "\n".join([*parts, "", "## Behavior", "", *_hints(tool)])


def _fields(schema: dict[str, Any], without_default: str = "required") -> list[str]:
    """The fields of a model as a table; nested models follow as tables of their own."""
    rows = _table(schema, without_default)
    for name, inner in schema.get("$defs", {}).items():
        if inner.get("properties"):
            rows += ["", f"### {name}", "", inner.get("description", ""), "", *_table(inner, without_default)]
    return rows


def _table(schema: dict[str, Any], without_default: str) -> list[str]:
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        default = without_default if name in schema.get("required", ()) else "empty"
        default = f"`{_cell(json.dumps(field['default']))}`" if "default" in field else default
        meaning = _cell(field.get("description", ""))
        rows.append(f"| `{name}` | {_cell(_type(field))} | {default} | {meaning} |")
    return rows


def _type(field: dict[str, Any]) -> str:
    """A JSON schema's type in a few words."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "const" in field:
        return json.dumps(field["const"])
    if "enum" in field:
        return " or ".join(json.dumps(each) for each in field["enum"])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in field:
            return " or ".join(dict.fromkeys(_type(each) for each in field[several]))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    return str(field.get("type", "anything"))


def _hints(tool: AnyTool) -> list[str]:
    hints = {
        "Writes to your disk": tool.writes,
        "May replace something": tool.destructive,
        "A second equal call changes nothing more": tool.idempotent,
        "Reaches beyond this machine": tool.open_world,
    }
    return [f"- {hint}: {'yes' if value else 'no'}." for hint, value in hints.items()]


def component_pages() -> Iterator[Page]:
    """One page a component: parameters, inputs, contract, pitfalls, source."""
    for component in catalogue().values():
        text = "\n".join(_component(component))
        yield Page(f"components/{component.id}", component.id, component.summary, text)


def _component(component: Component) -> Iterator[str]:
    yield f"{component.summary}\n"
    yield f"`{component.symbol}`; {', '.join(component.tags)}.\n"
    yield f"```console\n$ dlcoder render {component.id}\n```\n"
    if component.params:
        yield "## Parameters\n\n| parameter | default | meaning |\n|---|---|---|"
        for name, parameter in component.params.items():
            default = "required" if parameter.required else f"`{_cell(json.dumps(parameter.default))}`"
            yield f"| `{name}` | {default} | {_cell(parameter.meaning)} |"
    if component.inputs:
        yield "\n## Inputs\n"
        yield from (f"- `{name}` {_tensor(spec)}" for name, spec in component.inputs.items())
    contract = list(_contract(component))
    if contract:
        yield "\n## Contract\n"
        yield from (f"- {clause}" for clause in contract)
    yield from _listing("Pitfalls avoided", component.pitfalls)
    yield from _listing("References", [f"<{r}>" if r.startswith("http") else r for r in component.references])
    yield from _listing("Requires", component.requires)
    rendered = None if component.is_module else render_entry(component, {})
    code = component.path.read_text(encoding="utf-8") if rendered is None else rendered.code
    yield f"\n## Source\n\n{_fenced(code, 'bash' if component.kind == 'launchers' else 'python')}"
    if rendered is not None:
        yield f"\n## Usage\n\n{_fenced(rendered.usage)}"


def _tensor(spec: TensorSpec) -> str:
    values = f", values from {spec.range[0]} to below {spec.range[1]}" if spec.range and len(spec.range) == 2 else ""
    ignored = f", {spec.ignore_index} is ignored" if spec.ignore_index is not None else ""
    return f"({', '.join(map(str, spec.shape))}) {spec.dtype}{values}{ignored}"


def _contract(component: Component) -> Iterator[str]:
    contract = component.contract
    if contract.output:
        yield f"Returns {_tensor(contract.output)}."
    if contract.at_init:
        given = ", ".join(f"{name} {value}" for name, value in contract.at_init.given.items())
        yield f"Before anything is learned it is `{contract.at_init.value}`{f' for {given}' if given else ''}."
    if contract.reduction:
        yield f"Reduction: {contract.reduction}."
    yield from contract.invariants


def _listing(heading: str, items: list[str]) -> Iterator[str]:
    if items:
        yield f"\n## {heading}\n"
        yield from (f"- {item}" for item in items)


def cause_pages() -> Iterator[Page]:
    """One page a cause: mechanism, look-alikes, checks, fixes, sources."""
    for name, cause in load_causes().items():
        yield Page(f"causes/{name}", name, cause.title, "\n".join(_cause(cause)))


def _cause(cause: Cause) -> Iterator[str]:
    yield f"**{cause.title}.** {cause.explanation}\n"
    yield f"Shows as: {', '.join(cause.symptoms)}. Found by [diagnose_log](../tools/diagnose_log.md)."
    if cause.lookalikes:
        yield "\n## What looks alike\n"
        yield from (f"- [{other.cause}]({other.cause}.md): {other.tell_apart}" for other in cause.lookalikes)
    yield "\n## How to be sure\n"
    for check in cause.verify:
        yield f"### {check.action}\n"
        if check.command:
            yield f"{_fenced(check.command)}\n"
        yield f"{check.expect} (about {check.cost:g} s)\n"
    yield "## What to do\n"
    for fix in cause.fix:
        yield f"### {fix.action}\n"
        if fix.patch:
            yield f"{_fenced(fix.patch, 'diff')}\n"
    yield from _listing("Sources", [f"<{source}>" for source in cause.sources])


def check_pages() -> Iterator[Page]:
    """One page a check of `validate_code` and of `smoke_test`."""
    for kind, entries in CHECKS.items():
        for entry in entries:
            yield Page(f"checks/{kind}/{entry.name}", f"{kind}: {entry.name}", entry.proves, _check(kind, entry))
    for name, (does, bounds) in project_checks().items():
        text = [does, "", f'`smoke_test(path=..., checks=["{name}"])`, or `dlcoder smoke PATH --checks {name}`.']
        text += [*_listing("Results", [f"`{result}`: {bound}." for result, bound in bounds.items()]), ""]
        text += ["A part of [smoke_test](../../tools/smoke_test.md)."]
        yield Page(f"checks/project/{name}", f"project: {name}", does, "\n".join(text))


def _check(kind: str, entry: Entry) -> str:
    notes = ["Its failure ends the battery."] if entry.fatal else []
    notes += ["It runs only if it is named."] if entry.on_request else []
    return "\n\n".join(
        [
            entry.proves,
            f"It catches: {entry.kills}.",
            f"Number {entry.id}; about {entry.price:g} s on one core.",
            *notes,
            f'`validate_code(path=..., kind="{kind}", checks=["{entry.name}"])`, or '
            f"`dlcoder validate PATH --kind {kind} --checks {entry.name}`.",
            "A part of [validate_code](../../tools/validate_code.md).",
        ]
    )


def rule_pages() -> Iterator[Page]:
    """One page a rule of `review_code`: what it does to a run, the fault, the same code without it."""
    for each in rules().values():
        text = [f"{each.title}.", "", each.why, "", f"**Fix:** {each.fix}", "", _fenced(each.bad, "python"), ""]
        text += ["Instead:", "", _fenced(each.good, "python"), ""]
        text += [f"Silence it on a line with `# dlcoder: ignore[{each.name}]`."]
        text += _listing("References", [f"<{each.reference}>"] if each.reference else [])
        text += ["", "A part of [review_code](../tools/review_code.md)."]
        yield Page(f"rules/{each.name}", each.name, each.title, "\n".join(text))


def measurement_pages() -> Iterator[Page]:
    """What the benchmarks printed, as it is kept beside them."""
    for file in sorted((Path(__file__).parents[1] / "benchmarks" / "results").glob("*.md")):
        heading, _, text = file.read_text(encoding="utf-8").partition("\n")
        title = heading.removeprefix("# ")
        yield Page(f"measurements/{file.stem}", title, title, text)


def project_checks() -> dict[str, tuple[str, dict[str, str]]]:
    """What each check of a project does, and the bound of each of its results.

    The descriptions are those of `smoke.CHECKS` where it maps names to them, else the docstrings of the functions that
    run the checks; the bounds are read from the judges' sources, since only a run can produce a result.
    """
    told: Any = smoke.CHECKS
    folder = Path(next(iter(project.__path__)))
    docs = told if isinstance(told, Mapping) else _docstrings(folder / "coordinator.py")
    bounds = _bounds(folder)
    return {
        name: (
            str(docs[name] if isinstance(told, Mapping) else docs[f"check_{name}"]),
            {result: bound for result, bound in bounds.items() if result.partition(".")[0] == name},
        )
        for name in told
    }


def _docstrings(file: Path) -> dict[str, str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_docstring(node) or "" for node in functions}


def _bounds(folder: Path) -> dict[str, str]:
    """The judges' pairs `name, bound = "check.result", "what must hold"`; those of ranks bear torchrun's name."""
    pair = re.compile(r'name, bound = (prefix \+ )?"([\w.]+)", f?"([^"]+)"')
    found = {}
    for file in sorted(folder.glob("*.py")):
        for prefixed, name, bound in pair.findall(file.read_text(encoding="utf-8")):
            found[f"torchrun{name}" if prefixed else name] = re.sub(r"\{[^}]*\}", "N", bound)
    return found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _line(text: str, most: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]} …"


def _fenced(text: str, language: str = "") -> str:
    """A block of code, fenced by more backticks than it holds in a row."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`{3,}", text)), 3)
    return f"{fence}{language}\n{text.strip()}\n{fence}"


SECTIONS = {
    "Tools": tool_pages,
    "Components": component_pages,
    "Causes": cause_pages,
    "Checks": check_pages,
    "Rules": rule_pages,
    "Measurements": measurement_pages,
}

if __name__ == "__main__":
    main()
