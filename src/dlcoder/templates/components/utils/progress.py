"""One line that tells a person how a run is going."""

import sys
import time
from typing import Any


class ProgressLine:
    """Rewrites one line on a terminal; elsewhere prints a line every half minute.

    Args:
        total_steps: Steps in the whole run.
        enabled: False shows nothing, as on all ranks but the first.
    """

    def __init__(self, total_steps: int = 0, *, enabled: bool = True) -> None:
        self.total_steps = total_steps
        self.enabled = enabled
        self.terminal = sys.stderr.isatty()
        self.pause = 0.1 if self.terminal else 30.0
        self.next_time = 0.0

    def show(self, record: dict[str, Any]) -> None:
        """Show a step, if it is time to."""
        now = time.monotonic()
        if not self.enabled or now < self.next_time:
            return
        self.next_time = now + self.pause
        left = (self.total_steps - record["step"]) * record["time_iter"]
        text = (
            f"epoch {record['epoch']}  step {record['step']}/{self.total_steps}  "
            f"loss {record['loss_total']:.4f}  lr {record['lr']:.2e}  "
            f"|g| {record['grad_norm']:.2f}  {_duration(left)} left"
        )
        self._print(text, end="" if self.terminal else "\n")

    def finish(self, record: dict[str, Any]) -> None:
        """Show an evaluation, which stays."""
        if self.enabled:
            values = "  ".join(
                f"{name.removeprefix('metric_')} {value:.4f}"
                for name, value in record.items()
                if name.startswith(("metric_", "loss_total"))
            )
            self._print(f"epoch {record['epoch']} evaluated  {values}", end="\n")

    def _print(self, text: str, *, end: str) -> None:
        start = "\r\x1b[K" if self.terminal else ""
        print(start + text, end=end, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
