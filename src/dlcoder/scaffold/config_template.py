"""A config template: dataclasses of settings, what reads them, and the file, in one of four forms."""

import keyword
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlcoder.errors import UserError
from dlcoder.scaffold.choices import decide
from dlcoder.scaffold.component import Rendered, find_component, merged, renamed, snake, with_siblings
from dlcoder.scaffold.config_forms import FORMS, ConfigForm, convert
from dlcoder.scaffold.fill import fill
from dlcoder.scaffold.plan import PARTS, plan
from dlcoder.scaffold.spec import ProjectSpec
from dlcoder.scaffold.task import Setting
from dlcoder.scaffold.tidy import tidy
from dlcoder.templates.catalogue import Component

Parts = dict[str, list[Setting]]


@dataclass(frozen=True)
class RenderedConfig(Rendered):
    """Settings, ready to be written.

    Attributes:
        own: The settings that belong to no part.
        parts: The others.
        text: The settings file as YAML.
    """

    own: list[Setting]
    parts: Parts
    text: str

    @property
    def tree(self) -> dict[str, Any]:
        """Every setting with its value."""
        return _tree(self.own, self.parts)

    @property
    def form(self) -> ConfigForm:
        """The form that was asked for."""
        return _form(self.component)

    def in_form(self, form: str) -> "RenderedConfig":
        """The same settings in another form."""
        return _rendered(find_component(f"configs/{form}"), self.own, self.parts, self.symbol)

    def beside(self, module: str) -> dict[str, str]:
        """The settings file, which in Python imports the dataclasses from `module`."""
        path = f"configs/default.{self.form.suffix}"
        return tidy({path: convert(self.text, self.form.suffix, self.code, module, self.symbol)}, module)

    def usage_from(self, module: str) -> str:
        """The settings file, and how it is read."""
        ((path, text),) = self.beside(module).items()
        lines = [f"{path}:", f"```{self.form.suffix}", text.rstrip(), "```", "from pathlib import Path"]
        name, value = next(leaves(self.tree))
        if self.form.flags:
            lines += [f"from {module} import FlagParser, {self.symbol}, load_settings"]
            lines += [
                f'flags = FlagParser({self.symbol}, description="Train.").parse_args()  # such as --{name} {value}'
            ]
            overrides = "flags"
        else:
            lines += [f"from {module} import {self.symbol}, load_settings"]
            overrides = f'["{name}={value}"]'
        return "\n".join([*lines, f'settings = load_settings({self.symbol}, Path("{path}"), {overrides})'])


def render_config(component: Component, params: Mapping[str, Any], name: str | None = None) -> RenderedConfig:
    """Make the files of a config template.

    Args:
        component: One of the kind configs.
        params: `settings`: names and values, in parts.
        name: What to call the dataclass instead of Settings.

    Raises:
        UserError: A setting or the name will not do.
    """
    own, parts = _asked(params["settings"]) if params.get("settings") is not None else _usual()
    return _rendered(component, own, parts, name or component.symbol)


def _rendered(component: Component, own: list[Setting], parts: Parts, symbol: str) -> RenderedConfig:
    filename = f"{snake(symbol)}.py"
    context = {
        "run_settings": own,
        "settings": parts,
        "meaning_of": {part: PARTS.get(part, f"What belongs to {part}.") for part in parts},
        "settings_file": filename,
    }
    settings = fill("package/settings.py.j2", context)
    reader = find_component(f"utils/{_form(component).reader}")
    code = merged([settings, *with_siblings(reader)], settings, component.id)
    if symbol != component.symbol:
        code = renamed(code, component.symbol, symbol)
    code = tidy({filename: code}, "dlcoder")[filename]
    text = fill("configs/default.yaml.j2", context)
    return RenderedConfig(component, symbol, code, filename, {"settings": _tree(own, parts)}, own, parts, text)


def _tree(own: list[Setting], parts: Parts) -> dict[str, Any]:
    plain = {s.name: list(s.value) if isinstance(s.value, tuple) else s.value for s in own}
    return plain | {part: _tree(found, {}) for part, found in parts.items()}


def _form(component: Component) -> ConfigForm:
    return FORMS[component.id.partition("/")[2]]


def _usual() -> tuple[list[Setting], Parts]:
    """Those of a project that learns to tell images apart."""
    spec = ProjectSpec.model_validate({"task": "classification", "data": {"source": "image_folder"}})
    context: Any = plan(decide(spec, "project")).context
    return list(context["run_settings"]), {part: list(found) for part, found in context["settings"].items()}


def _asked(settings: Any) -> tuple[list[Setting], Parts]:
    if not isinstance(settings, Mapping) or not settings:
        raise UserError("`settings` must hold names and values.", 'Such as {"seed": 0, "train": {"lr": 0.001}}.')
    usual = {setting.name: setting.meaning for found in _usual()[1].values() for setting in found}
    own: list[Setting] = []
    parts: Parts = {}
    for name, value in settings.items():
        _refuse_bad_name(name)
        if isinstance(value, Mapping):
            parts[name] = [_setting(f"{name}.", inner, each, usual) for inner, each in value.items()]
        else:
            own.append(_setting("", name, value, usual))
    return own, parts


def _setting(outer: str, name: str, value: Any, usual: Mapping[str, str]) -> Setting:
    _refuse_bad_name(name)
    items = value if isinstance(value, list) else [value]
    kinds = {type(item) for item in items}
    fits = len(kinds) == 1 and kinds <= {bool, int, float, str}
    if not fits or any(isinstance(item, float) and math.isnan(item) for item in items):
        raise UserError(
            f"{outer}{name} cannot be {value!r}.",
            "A setting is a number, a word, true or false, or a list of one kind; parts hold settings, not parts.",
        )
    (kind,) = kinds
    if isinstance(value, list):
        return Setting(name, tuple(value), usual.get(name, ""), type=f"tuple[{kind.__name__}, ...]")
    return Setting(name, value, usual.get(name, ""))


def _refuse_bad_name(name: Any) -> None:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise UserError(f"{name!r} cannot be the name of a setting.", "Give a Python identifier, such as batch_size.")


def leaves(tree: Mapping[str, Any], outer: str = "") -> Iterator[tuple[str, Any]]:
    """The full name of each setting and its value."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{outer}{name}.")
        else:
            yield outer + name, value
