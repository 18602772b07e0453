"""TensorBoard event files as a log: one line a step, `step: 10, train/loss: 0.52, lr: 0.001`, in order of steps."""

import math
import struct
from collections import defaultdict
from contextlib import suppress

from dlcoder.diagnosis.lines import make_lines
from dlcoder.diagnosis.reading import Document
from dlcoder.diagnosis.sources import Source

_LARGEST = 256 << 20
"""Bytes up to which a file is read: hours of a run that logs every step."""
_MOST_STEPS = 1200
_AROUND = 20
"""Steps kept on both sides of the first value that is not finite."""


def is_events(name: str) -> bool:
    """Whether a file is by its name one of TensorBoard's."""
    return "tfevents" in name.rsplit("/", 1)[-1]


def read_events(source: Source) -> Document:
    """Read the scalars of an event file; of one that is cut off or damaged, what can be read."""
    from dlcoder.experiments.event_files import event_columns

    assert source.path is not None
    columns: dict[str, tuple[list[float], list[float]]] = {}
    if source.size <= _LARGEST:
        with suppress(ValueError, IndexError, OverflowError, struct.error, OSError):
            columns = event_columns([source.path])
    steps: dict[float, list[str]] = defaultdict(list)
    odd = math.inf
    for tag, (at, values) in columns.items():
        for step, value in zip(at, values, strict=True):
            steps[step].append(f"{tag}: {value:.6g}")
            odd = step if not math.isfinite(value) and step < odd else odd
    ordered = sorted(steps)
    text = "\n".join(", ".join([f"step: {step:.0f}", *steps[step]]) for step in _thinned(ordered, odd))
    return Document(
        source.name,
        source.rank,
        list(make_lines(text, source.name, rank=source.rank)),
        size=source.size,
        total_lines=len(ordered),
    )


def _thinned(steps: list[float], odd: float) -> list[float]:
    """Evenly chosen steps, the last one, and all around `odd`."""
    every = -(-len(steps) // _MOST_STEPS) if steps else 1
    place = steps.index(odd) if odd in steps else -1
    near = range(place - _AROUND, place + _AROUND + 1) if place >= 0 else range(0)
    return [step for i, step in enumerate(steps) if i % every == 0 or i == len(steps) - 1 or i in near]
