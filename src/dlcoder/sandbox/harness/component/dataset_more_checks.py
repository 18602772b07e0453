"""Checks of what datasets read and hand on: pictures, damaged files, windows of tokens, resuming, speed."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import judge, planted
from .core import Broken, Measured, Skip, reseed
from .dataset import DatasetCase, leaves, same
from .dataset_checks import check


@check("windows")
def windows(case: DatasetCase) -> Measured:
    """The targets of windows over a stream of tokens, which are the inputs one later."""
    case.need("map")
    said = r"next.?token|window|block_size|context_length|causal|language.?model|seq_len"
    if not re.search(said, case.source.text, re.I) or case.source.mentions(
        ("mask", "autoencod", "denois", "model shifts")
    ):
        raise Skip("not windows of a language model by name")
    made = case.make()
    lags: set[int | None] = set()
    for index in range(min(len(made), 8)):
        item = made[index]
        parts = leaves(item) if isinstance(item, (tuple, list)) else []
        if len(parts) != 2 or not all(part.dim() == 1 and part.dtype == torch.int64 for part in parts):
            raise Skip("its items are not two sequences of tokens")
        if parts[0].shape != parts[1].shape or len(parts[0]) < 5:
            raise Skip("input and target differ in length")
        lags.add(_lag(*parts))
    if lags == {1}:
        return Measured("the input one later", "the input one later")
    if len(lags) != 1 or None in lags:
        raise Skip("the targets are no shifted inputs")
    lag = lags.pop()
    what = "the input itself" if lag == 0 else f"the input {lag} later"
    line = case.source.point(r"\[[^\]]*\+\s*1|\[1:\]|\[:-1\]|\+ ?1", r"\[[^\]]*:", r"return")
    why = (
        "The target of every position is the token that the model is shown."
        if lag == 0
        else "The targets are not next."
    )
    raise Broken(
        f"the target is {what}", "the input one later", why, f"x = t[i : i + n], y = t[i + 1 : i + n + 1] at {line}."
    )


@check("forecast")
def forecast(case: DatasetCase) -> Measured:
    """Where the target of a forecast begins, counted from the last step that is shown."""
    case.need("map")
    made = case.make()
    steps = []
    for index in range(min(len(made), 4)):
        parts = [leaf for leaf in leaves(made[index]) if leaf.is_floating_point() and leaf.dim() in (1, 2)]
        if len(parts) != 2 or len(parts[0]) < 4 or not any(planted.SERIES.search(name) for name in case._planted):
            raise Skip("its items are not a stretch of a series and what follows")
        steps.append(_ahead(judge.wide(parts[0]), judge.wide(parts[1])))
    if None in steps or len(set(steps)) != 1:
        raise Skip("how far the target lies ahead cannot be told")
    if steps[0] == 1 or case.source.mentions(("gap", "delay", "lead time", "overlap", "label_len", "start token")):
        return Measured(f"{steps[0]} after the last step shown", "the next step")
    if case.source.first(r"label_len|gap|delay|lead|lag|offset|overlap"):
        raise Skip("a distance is set on purpose")
    line = case.source.point(r"horizon|pred_len|\[[^\]]*:[^\]]*\]", r"return")
    why = "The target repeats what is shown." if (steps[0] or 0) < 1 else "Steps between input and target are left out."
    raise Broken(f"{steps[0]} after the last step shown", "1", why, f"x[i : i + n], y[i + n : i + n + h] at {line}.")


def _ahead(shown: Tensor, target: Tensor) -> int | None:
    """Steps from the last that is shown to the first of the target, on a series that rises evenly."""
    columns = shown.reshape(len(shown), -1)
    slopes = columns[1:] - columns[:-1]
    step = judge.number(slopes.mean())
    if abs(step) < 1e-9 or judge.max_abs(slopes - step) > 1e-3 * abs(step):
        return None
    counts = (target.reshape(-1)[0] - columns[-1]) / step
    nearest = min(counts.tolist(), key=abs)
    return round(nearest) if abs(nearest) < 25 and abs(nearest - round(nearest)) < 0.05 else None


def _lag(first: Tensor, second: Tensor) -> int | None:
    """By how many places the second sequence is ahead of the first; None if by none of those tried."""
    size = len(first)
    if first.unique().numel() < 4:
        return None
    for lag in (0, 1, 2, 3, -1):
        ahead, behind = second[: size - lag] if lag > 0 else second[-lag:], first[max(lag, 0) : size + min(lag, 0)]
        if judge.identical(ahead, behind):
            return lag
    return None


@check("picture")
def picture(case: DatasetCase) -> Measured:
    """An unaugmented picture still shows the ramp that was planted in it: along one side, level across."""
    case.need("map")
    if case.kind not in ("labels", "files") or case.contract.get("files"):
        raise Skip("no picture could be planted")
    made = case.make()
    if case.is_random(made):
        raise Skip("its items vary")
    worst = 1.0
    for index in (0, len(made) // 2, len(made) - 1):
        parts = leaves(made[index])
        if any(leaf.dim() == 2 and not leaf.is_floating_point() for leaf in parts):
            raise Skip("a picture with a mask is judged together with it")
        image = next((leaf for leaf in parts if leaf.dim() == 3 and leaf.shape[0] in (1, 3)), None)
        if image is None or min(image.shape[1:]) < 4:
            raise Skip("its items hold no picture with the channels first")
        worst = min(worst, *(_ramp(judge.wide(channel)) for channel in image))
    if worst >= 0.7:
        return Measured(f"{worst:.0%} of a channel's variation is a slope along one side", ">= 70%")
    line = case.source.point(r"reshape\(|view\(", r"permute|transpose|movedim", r"from_numpy|return")
    raise Broken(
        f"{worst:.0%} of a channel's variation is a slope along one side",
        ">= 70%",
        "The picture that enters the network is scrambled: rows, columns and channels are mixed up.",
        f"(H, W, C) becomes (C, H, W) by permute(2, 0, 1), never by reshape or view, at {line}.",
    )


def _ramp(channel: Tensor) -> float:
    """The share of the variance that a straight line along one side explains; 1 for a level channel."""
    total = judge.number(channel.var(unbiased=False))
    if total < 1e-12:
        return 1.0
    shares = []
    for dim in (0, 1):
        profile = channel.mean(dim=dim) - channel.mean()
        place = torch.linspace(-1, 1, len(profile), dtype=profile.dtype)
        shares.append(judge.dot(profile, place) ** 2 / judge.dot(place, place) / len(profile) / total)
    return max(shares)


@check("damaged-file")
def damaged_file(case: DatasetCase) -> Measured:
    """A file cut off in the middle raises; no other sample takes its place."""
    case.need("map")
    folders = [value for value in case.planted_values() if isinstance(value, str)]
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.png"))
    if case.kind != "files" or not files:
        raise Skip("no files could be planted")
    if case.source.mentions(("corrupt", "unreadable", "damaged", "broken", "skip")):
        raise Skip("the documentation says what becomes of files that cannot be read")
    size = len(case.make())
    victim = files[len(files) // 2]
    with _cut_off(victim):
        try:
            made = case.make()
            for index in range(len(made)):
                made[index]
        except Exception as error:
            named = victim.name in f"{error} {error.__cause__}"
            note = "" if named else f"The message does not name the file: {type(error).__name__}: {str(error)[:80]}."
            return Measured(f"raises {type(error).__name__}", "an exception", note)
        left = len(made)
    if left < size:
        raise Skip("files that cannot be read are left out when the dataset is made")
    line = case.source.point(r"except\b", r"LOAD_TRUNCATED|on_error|ignore", r"open\(|imread|read_image")
    raise Broken(
        "no exception",
        "an exception that names the file",
        f"{victim.name} was cut off in the middle, and all {size} items still came: another picture took its place.",
        f"Raise with the path at {line}; list unreadable files before the training instead.",
    )


@contextlib.contextmanager
def _cut_off(path: Path) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(whole[: max(len(whole) // 2, 40)])
    try:
        yield
    finally:
        path.write_bytes(whole)


@check("resume")
def resume(case: DatasetCase) -> Measured:
    """After three draws, state_dict() carried over to a fresh object continues with the fourth."""
    case.need("loader", "sampler", "iterable")
    made = case.make()
    if not all(callable(getattr(made, name, None)) for name in ("state_dict", "load_state_dict")):
        raise Skip("it has no state_dict and load_state_dict")
    before = str(made.state_dict())
    reseed(3)
    drawing = iter(made)
    list(itertools.islice(drawing, 3))
    state = made.state_dict()
    if str(state) == before and not case.source.first(
        r"\b(self\.)?_?(pos\w*|index|cursor|consumed|offset|step|start|seen)\b"
    ):
        raise Skip("its state is that of an epoch, not of a place in it")
    rest = list(drawing)
    again = case.make()
    again.load_state_dict(state)
    reseed(3)
    continued = list(again)
    if len(rest) == len(continued) and all(map(_equal, rest, continued)):
        return Measured(f"{len(rest)} draws continued", "what was left to draw")
    line = case.source.point(r"def load_state_dict", r"def state_dict")
    raise Broken(
        f"{len(continued)} draws after a resume, {len(rest)} were left",
        "the same draws",
        "A run that is resumed in the middle of an epoch repeats samples or leaves some out.",
        f"Save and restore the place in the epoch, with epoch and seed, at {line}.",
    )


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) if isinstance(a, (int, str)) else same(a, b)


@check("throughput")
def throughput(case: DatasetCase) -> Measured:
    """Samples per second of one process against half as much again as training takes."""
    case.need("map")
    wanted = case.contract.get("samples_per_s")
    if wanted is None:
        raise Skip("contract.samples_per_s does not say how many the training takes")
    made = case.make()
    start, taken = time.perf_counter(), 0
    while time.perf_counter() - start < 0.5:
        made[taken % len(made)]
        taken += 1
    rate = taken / (time.perf_counter() - start)
    workers = max(1, -(-1.5 * float(wanted) // rate))
    shown = f"{rate:.0f} samples/s in one process"
    if workers <= 16:
        return Measured(shown, f"1.5 x {wanted:g}, with num_workers={workers:.0f}")
    line = case.source.point(r"open\(|imread|resize|decode", r"def __getitem__")
    why = f"Training would wait for data: it takes {workers:.0f} workers to keep up."
    raise Broken(shown, f"1.5 x {wanted:g} with 16 workers", why, f"Decode and resize beforehand, or cache, at {line}.")
