"""What is compared against: a project that dlcoder made, or any command that takes settings, a seed and a folder."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.runs import flatten

_PASSED_ON = re.compile(r"\{(overrides|flags|config)\}")
_BY_SET = "--set {overrides} seed={seed} --run-dir {run_dir} --resume"
_BY_FLAGS = "{flags} --seed {seed} --run-dir {run_dir} --resume"
_HOW = "Put {overrides}, {flags} or {config} into it, with {seed} and {run_dir}."


@dataclass(frozen=True)
class Baseline:
    """The command of the control.

    Attributes:
        command: With the places to fill: {overrides}, {flags} or {config}; {seed}; {run_dir}.
        cwd: Where it is started.
        project: The folder of the project; None for any other command.
        settings: The project's own, by dotted name.
        assumption: What had to be assumed of it.
    """

    command: str
    cwd: Path
    project: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    assumption: str = ""

    def words(self, changes: Mapping[str, Any], places: Mapping[str, str]) -> list[str]:
        """The command of one run.

        Args:
            changes: What the run sets otherwise than the control.
            places: The seed, the run's folder and its configuration file.
        """
        lists = {
            "{overrides}": [f"{name}={_plain(value)}" for name, value in changes.items()],
            "{flags}": [word for name, value in changes.items() for word in _flag(name, value)],
        }
        argv: list[str] = []
        for word in shlex.split(self.command):
            if word in lists:
                argv += lists[word]
                continue
            for name, value in {**places, **{key[1:-1]: shlex.join(own) for key, own in lists.items()}}.items():
                word = word.replace("{" + name + "}", value)
            argv.append(word)
        return argv


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", _plain(value)]


def baseline_of(command: str | None, project: Path | None, cwd: Path) -> Baseline:
    """Find out how the control is started.

    Args:
        command: As the caller gave it; None where a project was named, or nothing.
        project: The folder of a dlcoder project.
        cwd: Where commands are started.

    Raises:
        UserError: The command passes no settings on, or the folder holds no project that dlcoder made.
    """
    if project is not None:
        return _project(project)
    if command is None:
        assumed = "python train.py --config configs/default.yaml"
        return Baseline(f"{assumed} {_BY_SET}", cwd, assumption=f"baseline: {assumed}, of a dlcoder project.")
    if _PASSED_ON.search(command):
        if "{seed}" not in command and "{config}" not in command:
            raise UserError("The baseline's command passes no seed on.", _HOW)
        return Baseline(command, cwd)
    if "{" in command:
        raise UserError("The baseline's command passes no settings on.", _HOW)
    options = "--set NAME=VALUE, --run-dir and --resume, as a dlcoder project's"
    return Baseline(f"{command} {_BY_SET}", cwd, assumption=f"baseline: `{command}` takes {options}.")


def _project(folder: Path) -> Baseline:
    script = folder / "train.py"
    configs = sorted((folder / "configs").glob("default.*"))
    text = script.read_text("utf-8", "replace") if script.is_file() else ""
    if not configs or "--run-dir" not in text:
        raise UserError(f"{str(folder)!r} is no project that dlcoder made.", f"Give a command as baseline. {_HOW}")
    form = _BY_SET if "--set" in text else _BY_FLAGS
    command = f"python train.py --config configs/{configs[0].name} {form}"
    return Baseline(command, folder, project=folder, settings=_settings(configs[0]))


def _settings(path: Path) -> dict[str, Any]:
    text = path.read_text("utf-8", "replace")
    try:
        if path.suffix == ".json":
            tree = json.loads(text)
        elif path.suffix == ".toml":
            import tomllib

            tree = tomllib.loads(text)
        elif path.suffix in (".yaml", ".yml"):
            import yaml

            tree = yaml.safe_load(text)
        else:
            return {}  # settings in Python are not run here
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{str(path)!r} cannot be parsed: {reason}", "Correct it.") from None
    return flatten(tree) if isinstance(tree, dict) else {}
