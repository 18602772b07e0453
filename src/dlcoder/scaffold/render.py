"""From a plan to the bytes of every file: specialized, pruned, formatted."""

import re
from functools import cache
from pathlib import Path

from dlcoder.scaffold.config_forms import ConfigForm, in_form
from dlcoder.scaffold.fill import fill
from dlcoder.scaffold.layout import flat, top_modules
from dlcoder.scaffold.plan import Plan
from dlcoder.scaffold.tidy import tidy
from dlcoder.templates.specialize import COMPONENTS, specialize

_TEMPLATES = Path(__file__).parent.parent / "templates"


def render(plan: Plan) -> dict[str, str]:
    """Render a project's text files.

    Returns:
        The text of each file, by its path relative to the project, in order.
    """
    files = {path: fill(name, plan.context) for path, name in plan.templates.items()}
    form = plan.context["form"]
    assert isinstance(form, ConfigForm)
    files = in_form(files, form, plan.package) | plan.scripts
    for component in _reachable(files, plan):
        files |= _component_files(component, plan)
    files = tidy(files, plan.package)
    # Only now is it known which imports the chosen options left: what nothing imports goes.
    wanted = _reachable({path: text for path, text in files.items() if path in plan.templates}, plan, files)
    for component in _components_in(files, plan) - wanted:
        kind, name = component
        for path in (f"{plan.package}/{kind}/{name}.py", _test_path(component)):
            files.pop(path, None)
    files |= _package_files(wanted, plan)
    if plan.context["flat"]:
        files = flat(files, plan.package)
        files = tidy(files, plan.package, modules=top_modules(files))
    return dict(sorted(files.items()))


Component = tuple[str, str]
"""(kind, name)."""


def _reachable(roots: dict[str, str], plan: Plan, files: dict[str, str] | None = None) -> set[Component]:
    """The components that `roots` import, directly or through others: as in `files`, else as in the catalogue."""
    found: set[Component] = set()
    texts = list(roots.values())
    while texts:
        for component in _imports(texts.pop(), plan.package) - found:
            found.add(component)
            kind, name = component
            path = f"{plan.package}/{kind}/{name}.py"
            texts.append(files[path] if files else _replaced(_source("components", kind, f"{name}.py"), plan))
    return found


def _imports(text: str, package: str) -> set[Component]:
    pattern = rf"^from (?:{re.escape(package)}|{re.escape(COMPONENTS)})\.(\w+)\.(\w+) import"
    return {(kind, name) for kind, name in re.findall(pattern, text, re.MULTILINE)}


def _components_in(files: dict[str, str], plan: Plan) -> set[Component]:
    parts = [path.removesuffix(".py").split("/") for path in files if path not in plan.templates]
    return {(p[1], p[2]) for p in parts if len(p) == 3 and p[0] == plan.package}


def _component_files(component: Component, plan: Plan) -> dict[str, str]:
    """A component and its test, specialized."""
    kind, name = component
    sources = {
        f"{plan.package}/{kind}/{name}.py": _source("components", kind, f"{name}.py"),
        _test_path(component): _source("tests", kind, f"test_{name}.py"),
    }
    return {
        path: specialize(_replaced(text, plan), package=plan.package, bindings=plan.bindings)
        for path, text in sources.items()
    }


def _replaced(source: str, plan: Plan) -> str:
    """A component's source, importing what stands in for others from there."""
    for module, other in plan.instead.items():
        source = source.replace(f"from {COMPONENTS}.{module} import", f"from {COMPONENTS}.{other} import")
    return source


def _test_path(component: Component) -> str:
    """Where a component's test goes: a loss may have the name of the model that it belongs to."""
    kind, name = component
    return f"tests/test_{name}_loss.py" if kind == "losses" else f"tests/test_{name}.py"


def _package_files(components: set[Component], plan: Plan) -> dict[str, str]:
    kinds = {kind for kind, _ in components}
    files = {f"{plan.package}/{kind}/__init__.py": _source("components", kind, "__init__.py") for kind in kinds}
    return files | {f"{plan.package}/__init__.py": f'"""{plan.context["title"]}."""\n'}


@cache
def _source(*parts: str) -> str:
    return _TEMPLATES.joinpath(*parts).read_text(encoding="utf-8")
