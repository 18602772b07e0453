"""Where the time of training steps goes: a table of operations, and a timeline.

with StepProfiler(folder, steps=3) as profiler:
    for batch in batches:
        update(batch)
        profiler.step()
"""

from pathlib import Path
from types import TracebackType

import torch
from torch.profiler import ProfilerActivity, profile, schedule


class StepProfiler:
    """Profiles a few steps of a loop, and costs nothing in the others.

    Writes `profile.txt`, the operations that took most time themselves, and
    `trace.json`, the timeline, for https://ui.perfetto.dev or chrome://tracing.

    Args:
        folder: Where the files go.
        steps: How many steps are profiled.
        wait: Steps before, in which caches fill and kernels are chosen; one more warms
            the profiler up.
    """

    def __init__(self, folder: Path, *, steps: int = 0, wait: int = 5) -> None:
        self.folder = folder
        self.gpu = torch.cuda.is_available()
        self.profile: profile | None = None
        self.written = False
        if steps > 0:
            self.profile = profile(
                activities=[
                    ProfilerActivity.CPU,
                    *([ProfilerActivity.CUDA] if self.gpu else []),
                ],
                schedule=schedule(wait=wait, warmup=1, active=steps, repeat=1),
                on_trace_ready=self._write,
            )

    def __enter__(self) -> "StepProfiler":
        if self.profile is not None:
            self.profile.start()
        return self

    def step(self) -> None:
        """Say that a step is done."""
        if self.profile is not None:
            self.profile.step()
            if self.written:
                self._stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what there is, if the loop has ended before."""
        self._stop()

    def _stop(self) -> None:
        if self.profile is not None:
            self.profile.stop()
            self.profile = None

    def _write(self, profiled: profile) -> None:
        self.written = True
        self.folder.mkdir(parents=True, exist_ok=True)
        order = "self_cuda_time_total" if self.gpu else "self_cpu_time_total"
        table = profiled.key_averages().table(sort_by=order, row_limit=30)
        (self.folder / "profile.txt").write_text(table + "\n", encoding="utf-8")
        profiled.export_chrome_trace(str(self.folder / "trace.json"))
