"""What starts the processes of a run on several nodes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Launcher:
    """How a project is started on several nodes.

    Attributes:
        scripts: The files in scripts/ that it takes.
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


_RESUME = "--run-dir runs/big --resume"

LAUNCHERS = {
    "torchrun": Launcher(("torchrun.sh",), "MASTER=host NODES=2 scripts/torchrun.sh", _RESUME, "on each of them"),
    "srun": Launcher(
        ("srun.sh",),
        "srun --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 scripts/srun.sh",
        _RESUME,
        "once, under Slurm",
    ),
    "sbatch": Launcher(
        ("srun.sh", "train.sbatch"), "sbatch --nodes 2 scripts/train.sbatch", "", "once: the job requeues itself"
    ),
}
"""By the word of the spec."""
