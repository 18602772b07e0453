"""Everything that a run goes on from as if it had never stopped.

That is every part with a state (model, optimizer, schedule, ...), the random state of
every rank, and the settings that they belong to: tensors and plain values only, which
load with `torch.load(weights_only=True)`, on any device, without this package.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from dlcoder.templates.components.utils.distributed import World, gather
from dlcoder.templates.components.utils.seeding import get_rng_state, set_rng_state


class Stateful(Protocol):
    """What can be put into a checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Go on from what `state_dict` returned."""


class RunState:
    """Collects and restores the state of a run.

    Args:
        parts: What has a state, by name.
        settings: The settings of the run, which a resumed run must share.
        world: This process's place among all.
    """

    def __init__(
        self, *, parts: Mapping[str, Stateful], settings: dict[str, Any], world: World
    ) -> None:
        self.parts = parts
        self.settings = settings
        self.world = world

    def collect(self) -> dict[str, Any]:
        """Return the present state. To be called by all ranks."""
        return {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "rng": gather(get_rng_state()),
            "settings": self.settings,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of `collect`, random states included.

        Raises:
            ValueError: It belongs to other settings or another number of ranks.
        """
        self.refuse_other_run(state)
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        set_rng_state(state["rng"][self.world.rank])

    def refuse_other_run(self, state: Mapping[str, Any]) -> None:
        """Raise `ValueError` if a state is not of this run."""
        changed = _differences(state["settings"], self.settings)
        if changed:
            raise ValueError(
                f"The checkpoint belongs to other settings ({'; '.join(changed)}): "
                "restore them, or start a new run."
            )
        if len(state["rng"]) != self.world.size:
            raise ValueError(
                f"The checkpoint was saved by {len(state['rng'])} process(es), this "
                f"run has {self.world.size}: resume with as many, or start a new run."
            )


def write_atomically(path: Path, state: dict[str, Any]) -> None:
    """Write `state` so that a kill at any moment leaves the old file or the new one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        # A rename may reach the disk before the data that it names.
        os.fsync(file.fileno())
    partial.replace(path)


def _differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Describe where two nested settings differ, as `train.lr: 0.1 -> 0.2`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in _differences(
                old.get(key), new.get(key), f"{name}.{key}" if name else key
            )
        ]
    return [] if old == new else [f"{name}: {old} -> {new}"]
