"""One component of the catalogue as one file that stands alone."""

import ast
import builtins
import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dlcoder.errors import UserError
from dlcoder.scaffold.parameters import refuse_unfit
from dlcoder.scaffold.tidy import tidier
from dlcoder.templates.bindings import Binding, Default, Fixed
from dlcoder.templates.catalogue import Component, Example, catalogue
from dlcoder.templates.kept import KEPT
from dlcoder.templates.specialize import COMPONENTS, specialize
from dlcoder.templates.syntax import parsed

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
        if not self.component.symbol[0].isupper():
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
        """What `validate_code` needs beside `proved`: a kind and a contract; None if there is no battery for it."""
        kind = _BATTERIES.get(self.component.id) or _BATTERIES.get(self.component.kind)
        example = self.component.example
        if kind is None or example is None:
            return None
        bound = self._bound
        inputs = {name: spec.model_dump(exclude_none=True) for name, spec in self.component.inputs.items()}
        contract = {
            "target": self.symbol,
            "init": {name: value for name, value in example.args.items() if name not in bound},
            "sizes": example.sizes | _sizes_of(bound, example),
            "inputs": inputs,
        }
        if "reduction" in bound:
            contract["reduction"] = bound["reduction"]
        if example.files:
            contract["files"] = example.files
        output = self.component.contract.output
        if output and kind == "model":
            contract["output"] = {"shape": output.shape}
        return kind, contract | ({"target": "make_example", "init": {}} if example.code else {})

    @property
    def proved(self) -> str:
        """What is checked: the code, and below it what builds one where that takes code."""
        example = self.component.example
        if example is None or not example.code:
            return self.code
        # Under the name, and without the parameters, that a caller has settled.
        tree = parsed(example.code)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == self.component.symbol:
                node.keywords = [keyword for keyword in node.keywords if keyword.arg not in self._bound]
            if isinstance(node, ast.Name) and node.id == self.component.symbol:
                node.id = self.symbol
        return f"{self.code}\n\n{ast.unparse(tree)}\n"

    @property
    def _bound(self) -> dict[str, Any]:
        return {name: value for name, value in self.params.items() if value != self.component.params[name].default}


def _sizes_of(bound: Mapping[str, Any], example: Example) -> dict[str, int]:
    """What bound parameters say of sizes: the number of classes, or weights of as many."""
    sizes = {letter: bound[name] for name, letter in example.args.items() if name in bound and isinstance(letter, str)}
    for name in ("class_weights", "alpha", "pos_weight"):
        if isinstance(bound.get(name), list) and "C" in example.sizes:
            sizes["C"] = len(bound[name])
    return sizes


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
    word = name.lower().removeprefix("dlcoder://").removeprefix("templates/")
    found = [c for c in components.values() if word in (c.id, c.id.partition("/")[2], c.symbol.lower())]
    if len(found) == 1:
        return found[0]
    bare = word.rpartition("/")[2]
    near = [c.id for c in found] or get_close_matches(word, components, n=3, cutoff=0.6)
    near = near or [i for i in components if i.partition("/")[2] in get_close_matches(bare, [bare, *_bare()], n=3)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "list_templates shows what there is."
    raise UserError(f"There is no template {name!r}.", hint)


def _bare() -> list[str]:
    return [name.partition("/")[2] for name in catalogue()]


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
    sources = with_siblings(component)
    bindings = {component.symbol: _bindings(component, sources, params)} if params else {}
    symbol = component.symbol if name is None else name
    filename = f"{snake(symbol) if name else component.id.partition('/')[2]}.py"
    if len(sources) == 1 and not bindings and symbol == component.symbol:
        return _rendered(component, symbol, sources[0], filename, {})
    key = ("rendered", *sources, repr(bindings), symbol)
    code = KEPT.get(*key)
    if code is None:
        with tidier() as tidied:
            source = _standalone(component, sources, bindings)
            code = tidied(source if symbol == component.symbol else renamed(source, component.symbol, symbol))
        KEPT.put(code, *key)
    return _rendered(component, symbol, code, filename, params)


def _rendered(component: Component, symbol: str, code: str, filename: str, params: Mapping[str, Any]) -> Rendered:
    known = {n: p.default for n, p in component.params.items() if not p.required}
    return Rendered(component, symbol, code, filename, known | dict(params))


def _bindings(component: Component, sources: list[str], params: Mapping[str, Any]) -> dict[str, Binding]:
    refuse_unknown(component, params)
    refuse_unfit(component.id, component.symbol, sources, params)
    bindings: dict[str, Binding] = {}
    for name, value in params.items():
        if component.kind == "datasets" and isinstance(value, str) and component.params[name].required:
            raise UserError(f"{name} of {component.id} is not bound.", f"Give it where {component.symbol} is built.")
        switch = isinstance(value, bool | str | None) and not component.params[name].required
        code = f'float("{value}")' if value in (math.inf, -math.inf) else repr(value)
        if isinstance(value, list):
            code = repr(tuple(value))
        bindings[name] = Fixed(code) if switch else Default(code)
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
    docstring = ast.get_docstring(parsed(main), clean=False)
    imports: list[str] = []
    bodies: list[str] = []
    owner: dict[str, str] = {}
    for module in modules:
        lines = module.splitlines(keepends=True)
        kept = []
        for node in parsed(module).body:
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
    if not new.isidentifier() or keyword.iskeyword(new) or hasattr(builtins, new):
        raise UserError(
            f"{new!r} cannot be the name of a class.", "Give a Python identifier, such as BoundaryAwareDice."
        )
    if re.search(rf"\b{new}\b", source):
        raise UserError(f"The component already uses the name {new}.", "Choose another.")
    return re.sub(rf"\b{old}\b", new, source)


def snake(name: str) -> str:
    """FocalLoss -> focal_loss, MAELoss -> mae_loss, CIoULoss -> ciou_loss."""
    name = name.replace("IoU", "IOU").replace("ResNet", "Resnet").replace("NeXt", "next")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
