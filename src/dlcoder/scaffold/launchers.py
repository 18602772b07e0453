"""What starts the processes of a run: the scripts, and how a project's README has them called."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from dlcoder.errors import UserError
from dlcoder.templates.catalogue import FOLDER, component


@dataclass(frozen=True)
class Launcher:
    """How a project is started on several nodes.

    Attributes:
        scripts: The components that it takes: each becomes a file in scripts/.
        command: The command line, without the file of settings.
        run: The options that it needs beside the settings, to go on where the last checkpoint is.
        where: Where the command is given.
    """

    scripts: tuple[str, ...]
    command: str
    run: str
    where: str

    def several_nodes(self, config: str) -> str:
        """The whole command."""
        return " ".join(part for part in (self.command, "--config", config, self.run) if part)

    @property
    def file(self) -> str:
        """What is started, in scripts/."""
        return script_name(self.scripts[-1])


_RESUME = "--run-dir runs/big --resume"

LAUNCHERS = {
    "torchrun": Launcher(("torchrun",), "MASTER=host NODES=2 scripts/torchrun.sh", _RESUME, "on each of them"),
    "srun": Launcher(
        ("srun",),
        "srun --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 scripts/srun.sh",
        _RESUME,
        "once, under Slurm",
    ),
    "sbatch": Launcher(
        ("srun", "sbatch"), "sbatch --nodes 2 scripts/train.sbatch", "", "once: the job requeues itself"
    ),
}
"""By the word of the spec."""

_PLACES = {
    "nodes": ("NODES:=", "--nodes[ =]"),
    "gpus": ("--ntasks-per-node[ =]", "--gpus-per-node[ =]"),
    "processes": ("PROCESSES:-",),
    "port": ("PORT:-",),
    "job_name": ("--job-name=",),
    "cpus": ("--cpus-per-task=",),
    "time": ("--time=",),
    "grace": ("USR1@",),
    "config": ("--config ",),
    "script": ('(?:python|") ',),
}
"""What stands before the value of each parameter, as patterns."""
_WORD = re.compile(r"[\w./:@%+=-]+")


def script_name(launcher: str) -> str:
    """The name of a launcher's file."""
    return component(f"launchers/{launcher}").symbol


def script(launcher: str, values: Mapping[str, Any]) -> str:
    """Return a launcher's script with its parameters bound.

    Args:
        launcher: Its name in the catalogue.
        values: Parameters by name; others keep their defaults.

    Raises:
        UserError: A value is no word that a shell leaves as it is.
    """
    text = _source(launcher)
    for name, parameter in component(f"launchers/{launcher}").params.items():
        value = values.get(name, parameter.default)
        if value == parameter.default:
            continue
        _refuse_unfit(name, value, parameter.default)
        if name not in _PLACES:
            # Slurm's own choice is no line at all.
            text = text.replace("#SBATCH --nodes", f"#SBATCH --{name}={value}\n#SBATCH --nodes", 1)
        for before in _PLACES.get(name, ()):
            text = re.sub(rf"({before}){re.escape(str(parameter.default))}", rf"\g<1>{value}", text)
    return text


def _refuse_unfit(name: str, value: Any, default: Any) -> None:
    if isinstance(default, int) or isinstance(value, int):
        if type(value) is not int or value < 1:
            raise UserError(f"{name} must be a number above 0, not {value!r}.", f"{name} is usually {default}.")
    elif not isinstance(value, str) or not _WORD.fullmatch(value):
        raise UserError(f"{name} cannot be {value!r}.", "Give a word without spaces and quotes.")


@cache
def _source(launcher: str) -> str:
    return (FOLDER / "launchers" / f"{launcher}.sh").read_text(encoding="utf-8")
