"""Checkpoints that a run goes on from as if it had never stopped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dlcoder.templates.components.engine.run_state import (
    RunState,
    Stateful,
    write_atomically,
)
from dlcoder.templates.components.utils.distributed import World


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
        self.state = RunState(parts=parts, settings=settings, world=world)
        self.world = world

    def save(self, *names: str) -> None:
        """Write the present state under each of `names`. To be called by all ranks."""
        state = self.state.collect()
        if not self.world.is_main:
            return
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
        self.state.restore(torch.load(path, map_location="cpu", weights_only=True))
        return True
