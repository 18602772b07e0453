"""What GPU memory was used for when it ran out: each allocation with its stack.

    with MemorySnapshot(folder, rank=0):
        train()

The file is looked at with https://docs.pytorch.org/memory_viz, which keeps it in the
browser.
"""

from pathlib import Path
from types import TracebackType

import torch


class MemorySnapshot:
    """Records allocations, and writes them down if memory runs out within.

    Args:
        folder: Where `memory_rank<N>.pickle` goes.
        rank: The number of this process.
        enabled: Whether anything is recorded, where there is a GPU.
        max_entries: The last so many allocations are kept, in memory of the host.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rank: int,
        enabled: bool = True,
        max_entries: int = 100_000,
    ) -> None:
        self.path = folder / f"memory_rank{rank}.pickle"
        self.max_entries = max_entries
        self.recording = enabled and torch.cuda.is_available()

    def __enter__(self) -> "MemorySnapshot":
        if self.recording:
            torch.cuda.memory._record_memory_history(max_entries=self.max_entries)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let an error pass; one of memory is explained by the file."""
        if isinstance(error, torch.cuda.OutOfMemoryError):
            self.write()
        if self.recording:
            torch.cuda.memory._record_memory_history(enabled=None)

    def write(self) -> Path | None:
        """Write what was recorded so far; None where nothing is."""
        if not self.recording:
            return None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torch.cuda.memory._dump_snapshot(str(self.path))
        return self.path
