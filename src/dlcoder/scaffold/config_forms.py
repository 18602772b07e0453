"""The forms of a project's settings files, each written from the same YAML."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ConfigForm:
    """How a project keeps its settings.

    Attributes:
        suffix: Of the files in configs/.
        reader: The component that reads them, in utils.
        recorder: The component that writes and reads a run's settings, in utils.
        record: The file that they are written to, in a run's folder.
        requires: What must be installed.
        python: The oldest Python that will do.
    """

    suffix: str
    reader: str
    recorder: str
    record: str
    requires: str | None = None
    python: str = "3.10"

    @property
    def flags(self) -> bool:
        """Whether each setting has a flag of its own, instead of `--set NAME=VALUE`."""
        return self.reader == "settings_flags"

    def assign(self, **settings: str) -> str:
        """What sets settings on the command line; `__` in their names stands for a dot."""
        named = {name.replace("__", "."): value for name, value in settings.items()}
        if self.flags:
            return " ".join(f"--{name} {value}" for name, value in named.items())
        return "--set " + " ".join(f"{name}={value}" for name, value in named.items())


FORMS = {
    "yaml": ConfigForm("yaml", "settings_yaml", "settings_yaml", "config.yaml", "pyyaml"),
    "toml": ConfigForm("toml", "settings_toml", "settings_toml", "config.toml", python="3.11"),
    "argparse": ConfigForm("json", "settings_flags", "settings_json", "config.json"),
    "dataclass": ConfigForm("py", "settings_python", "settings_json", "config.json"),
}
"""By the word of the spec."""


def in_form(files: Mapping[str, str], form: ConfigForm, package: str) -> dict[str, str]:
    """Return a project's files with those in configs/, written as YAML, in another form."""
    if form.suffix == "yaml":
        return dict(files)
    settings = files[f"{package}/settings.py"]
    converted: dict[str, str] = {}
    for path, text in files.items():
        if path.startswith("configs/"):
            name = path.removesuffix("yaml") + form.suffix
            converted[name] = convert(text, form.suffix, settings, f"{package}.settings")
        else:
            converted[path] = text
    return converted


def convert(text: str, suffix: str, settings: str, module: str, root: str = "Settings") -> str:
    """Write a settings file in YAML in another form.

    Args:
        text: The file.
        suffix: What the form's files end with.
        settings: The source of the dataclasses.
        module: What a file in Python imports them from.
        root: The dataclass of all settings.
    """
    import yaml

    from dlcoder.templates.components.utils.settings_json import to_json
    from dlcoder.templates.components.utils.settings_toml import to_toml

    tree = yaml.safe_load(text)
    comment = [line for line in text.splitlines() if line.startswith("#")]
    if suffix == "yaml":
        return text
    if suffix == "json":
        return to_json(tree)
    if suffix == "toml":
        return "\n".join([*comment, to_toml(tree)])
    classes = _classes(settings)
    value = _construct(tree, root, classes)
    names = ", ".join(name for name in classes if re.search(rf"\b{name}\(", value))
    paragraphs = f'"""{chr(10).join(line.removeprefix("# ") for line in comment)}"""'
    return f"{paragraphs}\n\nfrom {module} import {names}\n\nsettings = {value}\n"


def _construct(tree: Mapping[str, Any], name: str, classes: Mapping[str, Mapping[str, str]]) -> str:
    """The call that builds a dataclass; the comma at its end keeps one setting a line."""
    arguments = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            source = _construct(value, classes[name][key], classes)
        elif isinstance(value, list):
            source = repr(tuple(value))
        else:
            source = 'float("inf")' if value == float("inf") else repr(value)
        arguments.append(f"{key}={source},")
    return f"{name}({' '.join(arguments)})"


def _classes(settings: str) -> dict[str, dict[str, str]]:
    """The types of the fields of each class of settings, by names."""
    return {
        node.name: {
            field.target.id: ast.unparse(field.annotation)
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        }
        for node in ast.parse(settings).body
        if isinstance(node, ast.ClassDef)
    }
