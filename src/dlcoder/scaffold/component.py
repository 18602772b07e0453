"""One component of the catalogue as one file that stands alone."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dlcoder.errors import UserError
from dlcoder.scaffold.render import tidy
from dlcoder.templates.bindings import Binding, Default, Fixed
from dlcoder.templates.catalogue import Component, catalogue
from dlcoder.templates.specialize import COMPONENTS, specialize

_SIBLING = re.compile(rf"^from {re.escape(COMPONENTS)}\.(\w+)\.(\w+) import", re.MULTILINE)


@dataclass(frozen=True)
class Rendered:
    """A component, ready to be written to a file.

    Attributes:
        component: Its record in the catalogue.
        symbol: The class or function in `code`, renamed where that was asked for.
        code: Source that imports nothing but the standard library, torch, numpy and `component.requires`.
        filename: A name for the file.
        params: Every parameter with the value that it now has; those without one must be given at construction.
    """

    component: Component
    symbol: str
    code: str
    filename: str
    params: dict[str, Any]

    @property
    def usage(self) -> str:
        """How it is imported, built and called."""
        return self.usage_from(self.filename.removesuffix(".py"))

    def beside(self, module: str) -> dict[str, str]:
        """Further files that it needs in a project, by path, if it lies in `module`."""
        return {}

    def usage_from(self, module: str) -> str:
        """How it is imported from `module`, built and called."""
        required = [n for n, p in self.component.params.items() if p.required and n not in self.params]
        inputs = self.component.inputs
        shapes = ", ".join(f"{n} ({', '.join(map(str, s.shape))}) {s.dtype}" for n, s in inputs.items())
        lines = [f"from {module} import {self.symbol}"]
        if not self.symbol[0].isupper():
            arguments = [*inputs, *(n for n in required if n not in inputs)]
            return "\n".join(
                [*lines, f"result = {self.symbol}({', '.join(arguments)})" + (f"  # {shapes}" * bool(shapes))]
            )
        instance = _SINGULAR[self.component.kind]
        lines.append(f"{instance} = {self.symbol}({', '.join(f'{n}=...' for n in required)})")
        if inputs and self.component.kind in _CALLED:
            lines.append(f"{_CALLED[self.component.kind].format(instance, ', '.join(inputs))}  # {shapes}")
        return "\n".join(lines)

    def proof(self) -> tuple[str, dict[str, Any]] | None:
        """What `validate_code` needs to check it: a kind and a contract; None if there is no battery for it."""
        kind = _BATTERIES.get(self.component.id) or _BATTERIES.get(self.component.kind)
        example = self.component.example
        if kind is None or example is None:
            return None
        bound = {name for name in self.params if self.params[name] != self.component.params[name].default}
        inputs = {name: spec.model_dump(exclude_none=True) for name, spec in self.component.inputs.items()}
        contract = {
            "target": self.symbol,
            "init": {name: value for name, value in example.args.items() if name not in bound},
            "sizes": example.sizes,
            "inputs": inputs,
        }
        if example.files:
            contract["files"] = example.files
        output = self.component.contract.output
        return kind, contract | ({"output": {"shape": output.shape}} if output and kind == "model" else {})


_BATTERIES = {
    "losses": "loss",
    "models": "model",
    "datasets": "dataset",
    "metrics": "metric",
    "engine/ema": "optimizer",
    "engine/param_groups": "optimizer",
    "engine/schedule": "optimizer",
}
_SINGULAR = {
    "losses": "loss",
    "models": "model",
    "datasets": "data",
    "metrics": "metric",
    "engine": "part",
    "utils": "part",
}
_CALLED = {"losses": "value = {}({})", "models": "output = {}({})", "metrics": "{}.update({})"}


def find_component(name: str) -> Component:
    """Return a component by its id, or by its bare name where that is unique.

    Raises:
        UserError: There is none; the message names the nearest.
    """
    components = catalogue()
    if name in components:
        return components[name]
    bare = [component for component in components.values() if component.id.partition("/")[2] == name]
    if len(bare) == 1:
        return bare[0]
    near = get_close_matches(name, [*components, *(i.partition("/")[2] for i in components)], n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(dict.fromkeys(near))}?" if near else "list_templates shows what there is."
    raise UserError(f"There is no template {name!r}.", hint)


def render_component(component: Component, params: Mapping[str, Any], name: str | None = None) -> Rendered:
    """Make a component's file: parameters bound, siblings included, formatted.

    Args:
        component: What to render.
        params: Values of parameters. Switches (booleans, words, None) are decided, and the branches not taken
            disappear; a number becomes the parameter's default.
        name: What to call the class or function instead.

    Raises:
        UserError: A parameter or its value, or the name, will not do.
    """
    bindings = {component.symbol: _bindings(component, params)} if params else {}
    sources = with_siblings(component)
    if len(sources) == 1 and not bindings and name in (None, component.symbol):
        return _rendered(component, component.symbol, sources[0], f"{component.id.partition('/')[2]}.py", {})
    source = _standalone(component, sources, bindings)
    symbol = component.symbol
    if name is not None and name != symbol:
        source = renamed(source, symbol, name)
        symbol = name
    filename = f"{snake(symbol) if name else component.id.partition('/')[2]}.py"
    code = tidy({filename: source}, "dlcoder")[filename]
    return _rendered(component, symbol, code, filename, params)


def _rendered(component: Component, symbol: str, code: str, filename: str, params: Mapping[str, Any]) -> Rendered:
    known = {n: p.default for n, p in component.params.items() if not p.required}
    return Rendered(component, symbol, code, filename, known | dict(params))


def _bindings(component: Component, params: Mapping[str, Any]) -> dict[str, Binding]:
    refuse_unknown(component, params)
    bindings: dict[str, Binding] = {}
    for name, value in params.items():
        default = component.params[name].default
        if isinstance(value, bool | str | None) and not component.params[name].required:
            bindings[name] = Fixed(repr(value))
        elif isinstance(value, int | float | str | bool):
            bindings[name] = Default(repr(value))
        elif isinstance(value, list | tuple) and isinstance(default, list):
            bindings[name] = Default(repr(tuple(value)))
        else:
            raise UserError(
                f"{name} of {component.id} cannot be bound to {type(value).__name__}.",
                "Give a number, a word or true/false, and pass tensors and objects where the component is built.",
            )
    return bindings


def refuse_unknown(component: Component, params: Mapping[str, Any]) -> None:
    """Refuse parameters that a component does not have.

    Raises:
        UserError: There is one; the message names the nearest that it has.
    """
    for name in params:
        if name not in component.params:
            near = get_close_matches(name, component.params, n=1)
            known = ", ".join(component.params) or "none"
            hint = f"Did you mean {near[0]}?" if near else f"Its parameters are: {known}."
            raise UserError(f"{component.id} has no parameter {name!r}.", hint)


def _standalone(component: Component, sources: list[str], bindings: Mapping[str, Mapping[str, Binding]]) -> str:
    """The component's module with the siblings that it imports written before it."""
    modules = [specialize(source, package=COMPONENTS, bindings=bindings) for source in sources]
    return merged(modules, modules[-1], component.id)


def merged(modules: list[str], main: str, name: str) -> str:
    """One module of several: their imports, then their definitions in order, each once.

    Args:
        modules: Sources.
        main: The source whose docstring it gets.
        name: What it is, for the message.

    Raises:
        ValueError: Two of the modules define one name.
    """
    docstring = ast.get_docstring(ast.parse(main), clean=False)
    imports: list[str] = []
    bodies: list[str] = []
    owner: dict[str, str] = {}
    for module in modules:
        lines = module.splitlines(keepends=True)
        kept = []
        for node in ast.parse(module).body:
            start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            while start > 1 and lines[start - 2].startswith("#"):
                start -= 1
            text = "".join(lines[start - 1 : node.end_lineno])
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append("" if _SIBLING.match(text) else text)
            elif not (isinstance(node, ast.Expr) and node.lineno == 1) and text not in owner.values():
                kept.append(text)
                for defined in _names(node):
                    if owner.setdefault(defined, text) != text:
                        raise ValueError(f"{name}: two of its modules define {defined}")
        bodies.append("\n\n".join(kept))
    return f'"""{docstring}"""\n\n' + "".join(dict.fromkeys(imports)) + "\n\n" + "\n\n".join(bodies)


def with_siblings(component: Component) -> list[str]:
    """The sources of everything that a component imports from the catalogue, and its own last."""
    ordered: dict[str, str] = {}

    def visit(kind: str, name: str) -> None:
        path = component.path.parent.parent / kind / f"{name}.py"
        source = path.read_text(encoding="utf-8")
        for sibling in _SIBLING.findall(source):
            if "/".join(sibling) not in ordered:
                visit(*sibling)
        ordered[f"{kind}/{name}"] = source

    visit(*component.id.split("/"))
    return list(ordered.values())


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def renamed(source: str, old: str, new: str) -> str:
    """The source with one of its names changed.

    Raises:
        UserError: The new name will not do.
    """
    if not new.isidentifier() or new in dir(__builtins__):
        raise UserError(
            f"{new!r} cannot be the name of a class.", "Give a Python identifier, such as BoundaryAwareDice."
        )
    if re.search(rf"\b{new}\b", source):
        raise UserError(f"The component already uses the name {new}.", "Choose another.")
    return re.sub(rf"\b{old}\b", new, source)


def snake(name: str) -> str:
    """FocalLoss -> focal_loss, MAELoss -> mae_loss."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
