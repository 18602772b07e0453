"""Any entry of the catalogue as files that stand alone: a module of Python, a config template or a launch script."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcoder.errors import UserError
from dlcoder.scaffold.component import Rendered, refuse_unknown, render_component
from dlcoder.scaffold.config_template import render_config
from dlcoder.scaffold.launchers import LAUNCHERS, script, script_name
from dlcoder.templates.catalogue import Component


@dataclass(frozen=True)
class RenderedScript(Rendered):
    """A launch script, ready to be written to scripts/."""

    @property
    def launcher(self) -> str:
        """Its name in the catalogue."""
        return self.component.id.partition("/")[2]

    def beside(self, module: str) -> dict[str, str]:
        """The scripts that it starts."""
        shared = {name: self.params[name] for name in ("script", "config")}
        others = LAUNCHERS[self.launcher].scripts[:-1]
        return {f"scripts/{script_name(other)}": script(other, shared) for other in others}

    @property
    def program(self) -> str:
        """What it starts, seen from the project's folder."""
        return str(self.params["script"])

    def usage_from(self, module: str) -> str:
        """The commands of its comment; before them the scripts that it starts."""
        lines = [f"{path}:\n```bash\n{text.rstrip()}\n```" for path, text in self.beside(module).items()]
        commands = re.findall(r"^#  +(.*)", self.code, re.MULTILINE)
        return "\n".join([*lines, *commands]).replace(f"scripts/{self.component.symbol}", f"scripts/{self.filename}")


def render_entry(component: Component, params: Mapping[str, Any], name: str | None = None) -> Rendered:
    """Make an entry's files.

    Args:
        component: What to render.
        params: Values of its parameters.
        name: What to call the class, the function or the script instead.

    Raises:
        UserError: A parameter or its value, or the name, will not do.
    """
    if component.is_module:
        return render_component(component, params, name)
    refuse_unknown(component, params)
    if component.kind == "configs":
        return render_config(component, params, name)
    filename = name or component.symbol
    if not re.fullmatch(r"\w[\w.-]*", filename):
        raise UserError(f"{filename!r} cannot be the name of a script.", "Give a name such as train_large.sh.")
    code = script(component.id.partition("/")[2], params)
    known = {each: parameter.default for each, parameter in component.params.items()}
    return RenderedScript(component, filename, code, filename, known | dict(params))
