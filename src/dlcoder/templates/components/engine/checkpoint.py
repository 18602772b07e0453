"""Checkpoints that a run goes on from as if it had never stopped.

A checkpoint holds every part with a state (model, optimizer, schedule, ...), the random
state of every rank, and the settings that it belongs to: tensors and plain values only,
so it loads with `torch.load(weights_only=True)`, on any device, without this package.
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


class Checkpointer:
    """Saves and restores the parts of a run.

    Args:
        folder: Where the files go: `last.pt` to go on from, `best.pt` to use.
        parts: What has a state, by name.
        settings: The settings of the run, which a resumed run must share.
        world: This process's place among all.
    """

    def __init__(
        self,
        folder: Path,
        *,
        parts: Mapping[str, Stateful],
        settings: dict[str, Any],
        world: World,
    ) -> None:
        self.folder = folder
        self.parts = parts
        self.settings = settings
        self.world = world

    def save(self, *names: str) -> None:
        """Write the present state under each of `names`. To be called by all ranks."""
        rng = gather(get_rng_state())
        if not self.world.is_main:
            return
        state = {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "rng": rng,
            "settings": self.settings,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            write_atomically(self.folder / name, state)

    def restore(self, name: str) -> bool:
        """Go on from a saved state, random states included; False if there is none.

        Raises:
            ValueError: It was saved with other settings or another number of ranks.
        """
        path = self.folder / name
        if not path.exists():
            return False
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._refuse_other_run(path, state)
        for part_name, part in self.parts.items():
            part.load_state_dict(state["parts"][part_name])
        set_rng_state(state["rng"][self.world.rank])
        return True

    def _refuse_other_run(self, path: Path, state: dict[str, Any]) -> None:
        changed = _differences(state["settings"], self.settings)
        if changed:
            raise ValueError(
                f"{path} belongs to a run with other settings ({'; '.join(changed)}): "
                "restore them, or start a new run."
            )
        if len(state["rng"]) != self.world.size:
            raise ValueError(
                f"{path} was saved by {len(state['rng'])} process(es), this run has "
                f"{self.world.size}: resume with as many, or start a new run."
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
