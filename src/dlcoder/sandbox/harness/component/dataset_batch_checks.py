"""Checks of what belongs together: an object and its box in an item, a sample and its row in a batch."""

from __future__ import annotations

import random
import re
from typing import Any

import torch
from torch import Tensor

from .collate import LENGTHS, changed, rows_moved, shortened
from .core import Broken, Measured, Skip
from .dataset import DatasetCase, leaves
from .dataset_checks import check


@check("box-geometry")
def box_geometry(case: DatasetCase) -> Measured:
    """Where the bright rectangle of a planted picture is, and where the item says that its box is."""
    case.need("map")
    made = case.make()
    draws = []
    for draw in range(24):
        torch.manual_seed(draw)
        random.seed(draw)
        parts = [leaf for leaf in leaves(made[draw % len(made)]) if leaf.dim() > 1]
        image = next((leaf for leaf in parts if leaf.dim() == 3 and 3 in (leaf.shape[0], leaf.shape[-1])), None)
        boxes = next((leaf for leaf in parts if tuple(leaf.shape) == (1, 4)), None)
        if image is None or boxes is None:
            raise Skip("its items hold no picture with one box")
        bright = (image.double() > image.double().mean() + 0.1).any(0 if image.shape[0] == 3 else -1)
        if not bright.any():
            raise Skip("what was planted cannot be found in the picture")
        draws.append((_around(bright), boxes.double().flatten(), tuple(bright.shape)))
    told = [[_agrees(box, seen, size, way) for seen, box, size in draws] for way in range(4)]
    best = max(told, key=sum)
    if all(best):
        return Measured("24 draws", "the box is where the object is")
    if not any(best):
        raise Skip("the form of its boxes is not known")
    line = case.source.point(r"boxes?\[|box.*(width|w)\b", r"flip|crop|resize", r"box")
    seen, box, _ = draws[best.index(False)]
    why = "In some draws the box is not around the object: the picture is moved, its box is not, or otherwise."
    fix = f"x1, x2 = width - x2, width - x1 for a flip; shift and scale for crop and resize, at {line}."
    raise Broken(f"object at {seen}, box {[round(v, 1) for v in box.tolist()]}", "equal", why, fix)


def _around(bright: Tensor) -> list[float]:
    """The corners of the smallest box around what is bright."""
    rows_, columns = bright.any(1).nonzero().flatten(), bright.any(0).nonzero().flatten()
    return [float(columns[0]), float(rows_[0]), float(columns[-1]) + 1, float(rows_[-1]) + 1]


def _agrees(box: Tensor, seen: list[float], size: tuple[int, ...], way: int) -> bool:
    """Whether a box is there, read as corners, corner and size, center and size, or center and size in shares."""
    a, b, c, d = box.tolist()
    if way == 3:
        a, b, c, d = a * size[1], b * size[0], c * size[1], d * size[0]
    corners = {0: (a, b, c, d), 1: (a, b, a + c, b + d)}.get(way, (a - c / 2, b - d / 2, a + c / 2, b + d / 2))
    return all(abs(x - y) <= 1.5 for x, y in zip(corners, seen))


@check("rows")
def rows(case: DatasetCase) -> Measured:
    """Change one sample, and see which row of every output moves."""
    case.need("collate")
    base = case.collated()
    size = len(case.samples)
    batched = {name: value for name, value in base.items() if value.dim() and len(value) == size}
    if not batched:
        raise Skip("no output has a row for each sample")
    places: dict[str, list[int]] = {name: [] for name in batched}
    for number, sample in enumerate(case.samples):
        got = _collated(case, number, changed(sample))
        for name, value in batched.items():
            moved = rows_moved(value, got[name]) if name in got else []
            if moved:
                places[name].append(moved[0] if len(moved) == 1 else -1)
    told = {name: found for name, found in places.items() if found}
    _one_layout(case, base, told)
    line = case.source.point(r"sort|argsort|\[order|permut|shuffle|reversed", r"stack|cat\(|pad", r"return")
    for name, found in told.items():
        if sorted(found) != list(range(size)):
            why = f"Not every sample has a row of its own in {name}: samples are lost, doubled or mixed."
            raise Broken(f"rows {found}", f"one for each of {size}", why, f"Keep one row a sample at {line}.")
    orders = {tuple(found) for found in told.values()}
    if len(orders) > 1:
        shown = "; ".join(f"{name}: {found}" for name, found in list(told.items())[:3])
        why = "The outputs hold the samples in different orders: inputs meet other samples' labels."
        raise Broken(shown, "one order", why, f"Reorder everything alike, at {line}.")
    _joined(case, base, next(iter(orders)) if orders else tuple(range(size)), line)
    return Measured(f"{len(told)} outputs, a row for each sample", "one order for all")


def _one_layout(case: DatasetCase, base: dict[str, Tensor], told: dict[str, list[int]]) -> None:
    """Padded sequences in which a sample is a column, beside others in which it is a row."""
    size = len(case.samples)
    for name, value in base.items():
        if not told or value.dim() != 2 or value.shape[1] != size or len(value) == size:
            continue
        moved = [_collated(case, n, changed(sample)).get(name, value) for n, sample in enumerate(case.samples)]
        columns = [rows_moved(value.T, other.T) for other in moved if other.shape == value.shape]
        if sorted(columns) == [[n] for n in range(size)] and not case.source.mentions(
            ("time first", "(t, b)", "t x b")
        ):
            line = case.source.point(r"pad_sequence\((?!.*batch_first)", r"pad_sequence|transpose|\.t\(\)", r"return")
            why = f"{name} has a column for each sample, {next(iter(told))} a row: their dimensions do not match."
            raise Broken(f"{name} {tuple(value.shape)}", f"({size}, ...)", why, f"batch_first=True at {line}.")


def _collated(case: DatasetCase, number: int, sample: Any) -> dict[str, Tensor]:
    samples = list(case.samples)
    samples[number] = sample
    return case.collated(samples)


def _joined(case: DatasetCase, base: dict[str, Tensor], order: tuple[int, ...], line: str) -> None:
    """Boxes of all images in one tensor: the number in front must be the place of their image."""
    for name, value in base.items():
        if value.dim() != 2 or value.shape[1] != 6 or len(value) == len(case.samples):
            continue
        for number, sample in enumerate(case.samples):
            got = _collated(case, number, changed(sample)).get(name)
            if got is None or got.shape != value.shape:
                return
            told = {int(value[row, 0]) for row in rows_moved(value, got)}
            if told and told != {order[number]}:
                where = case.source.point(r"enumerate|\[:, 0\]|full\(|cat\(", r"return")
                why = f"Boxes of image {order[number]} carry the number {sorted(told)}: another image's."
                raise Broken(f"{sorted(told)}", f"{order[number]}", why, f"Number them by their image at {where}.")


@check("complete")
def complete(case: DatasetCase) -> Measured:
    """The last element of the longest sample is in the batch."""
    case.need("collate")
    if case.source.first(r"max_len|truncat|max_length|max_tokens|block_size"):
        raise Skip("it cuts samples to a length on purpose")
    longest = max(range(len(LENGTHS)), key=lambda number: LENGTHS[number])
    base, got = case.collated(), _collated(case, longest, changed(case.samples[longest], last=True))
    if repr(changed(case.samples[longest], last=True)) == repr(case.samples[longest]):
        raise Skip("its samples are no sequences")
    moved = any(name not in got or rows_moved(value, got[name]) for name, value in base.items() if value.dim())
    if moved:
        return Measured("the longest sample is whole", "no element is lost")
    line = case.source.point(r"min\(|\[:", r"pad", r"stack|cat\(")
    why = "The end of the longest sample is cut off: the batch is as long as a shorter one."
    raise Broken("no output changes with its last element", "one changes", why, f"Pad to the longest at {line}.")


@check("lengths")
def lengths(case: DatasetCase) -> Measured:
    """Lengths and masks against the samples' own lengths; labels where there is padding."""
    case.need("collate")
    base = case.collated()
    ragged = any(
        len(value) == 4 and value.dim() > 1 and value.shape[1] == max(LENGTHS) for value in base.values() if value.dim()
    )
    if not ragged:
        raise Skip("nothing is padded to the longest sample")
    order = _order(case, base)
    true = torch.tensor([LENGTHS[number] for number in order])
    said = []
    for name, value in base.items():
        whole = not value.is_floating_point() or bool((value == value.round()).all())
        if re.search(r"len", name) or (value.dim() == 1 and whole and _follows_length(case, name)):
            said.append(name)
            _same(case, name, value.flatten(), true)
        elif value.dim() == 2 and value.shape == (4, max(LENGTHS)) and set(value.unique().tolist()) <= {0, 1}:
            said.append(name)
            _mask(case, name, value, true)
        elif value.dim() == 1 and len(value) == 4 and whole and _is_constant(case, name, value):
            _same(case, name, value, true)
    _ignored(case, base, true)
    if not said:
        raise Skip("it returns neither lengths nor a mask")
    return Measured(", ".join(said), "the samples' lengths")


def _order(case: DatasetCase, base: dict[str, Tensor]) -> list[int]:
    """For each row of the batch, the sample that it holds."""
    size = len(case.samples)
    for name, value in base.items():
        if value.dim() and len(value) == size:
            moved = [
                rows_moved(value, _collated(case, n, changed(s)).get(name, value)) for n, s in enumerate(case.samples)
            ]
            if all(len(rows_) == 1 for rows_ in moved) and len({rows_[0] for rows_ in moved}) == size:
                return [next(n for n, rows_ in enumerate(moved) if rows_[0] == row) for row in range(size)]
    return list(range(size))


def _follows_length(case: DatasetCase, name: str) -> bool:
    """Whether an output changes when a sample gets shorter, and not when its values change."""
    base = case.collated()[name]
    shorter = _collated(case, 0, shortened(case.samples[0])).get(name, base)
    other = _collated(case, 0, changed(case.samples[0])).get(name, base)
    return not torch.equal(base, shorter) and torch.equal(base, other)


def _is_constant(case: DatasetCase, name: str, value: Tensor) -> bool:
    """Whether an output holds the longest length for every sample, whatever the sample is."""
    return bool((value == max(LENGTHS)).all()) and not case.source.mentions(("padded length", "maximum length"))


def _same(case: DatasetCase, name: str, value: Tensor, true: Tensor) -> None:
    if value.numel() != len(true) or torch.equal(value.double(), true.double()):
        return
    line = case.source.point(r"len\(|lengths?", r"return")
    why = f"{name} does not hold the samples' lengths: padding is taken for data, or data for padding."
    fix = f"Take len() of each sample before padding, in the order of the batch, at {line}."
    raise Broken(f"{value.tolist()}", f"{true.tolist()}", why, fix)


def _mask(case: DatasetCase, name: str, value: Tensor, true: Tensor) -> None:
    """A mask marks the first positions of each row, as many as the sample is long: with ones, or with zeros."""
    kept = torch.arange(value.shape[1])[None] < true[:, None]
    found = value.bool()
    pads = re.search(r"pad", name) and not re.search(r"non|not", name)
    either = not re.search(r"mask|valid", name) or (
        value.dtype == torch.bool and not re.search(r"attention|valid", name)
    )
    good = torch.equal(found, ~kept) if pads else torch.equal(found, kept)
    if good or (either and (torch.equal(found, kept) or torch.equal(found, ~kept))):
        return
    line = case.source.point(rf"{name.split('.')[-1]}", r"mask", r"return")
    why = f"{name} does not tell the samples from their padding."
    fix = f"1 for each of a sample's own positions, 0 after them, at {line}."
    raise Broken(f"{found.sum(1).tolist()} marked", f"{true.tolist()}", why, fix)


def _ignored(case: DatasetCase, base: dict[str, Tensor], true: Tensor) -> None:
    """Labels of padding, where the code speaks of an ignored label."""
    labels = next((v for n, v in base.items() if re.search(r"label|target", n) and v.dim() == 2), None)
    if labels is None or not case.source.first(r"-100|ignore|label_pad") or labels.shape != (4, max(LENGTHS)):
        return
    padded = labels[torch.arange(labels.shape[1])[None] >= true[:, None]]
    if bool((padded >= 0).any()) and not bool((padded == 255).all()):
        line = case.source.point(r"labels?.*pad|labels?.*\[", r"-100|ignore")
        why = "Labels at padded positions are those of a token: the loss trains on padding."
        raise Broken(f"{sorted(set(padded.tolist()))}", "-100", why, f"Pad labels with the ignored label at {line}.")
