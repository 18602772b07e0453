"""Samples for a collate function, guessed from what its code reads of them, and what it makes of each sample."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Callable

import torch
from torch import Tensor

from . import judge
from .pairing import keys_read

Sample = Any
LENGTHS = (5, 3, 6, 4)
"""Lengths of the sequences of the four samples."""


def is_collate(name: str, function: Callable[..., Any], builds: bool) -> bool:
    """Whether what is called takes a list of samples, by its own name or its first parameter's."""
    if re.search(r"collat|pad_batch|batchify", name, re.I):
        return True
    names = list(inspect.signature(function).parameters)
    return (
        not builds and bool(names) and re.fullmatch(r"batch|samples|examples|features|data_list", names[0]) is not None
    )


def batches(tree: Any, parameters: list[str]) -> Iterator[list[Sample]]:
    """Lists of four samples to try, the likeliest first."""
    keys = keys_read(tree)
    if keys:
        for style in ("list", "tensor"):
            yield [record(keys, n, style) for n in range(4)]
    kinds = ("sequence", "label"), ("sequence", "sequence"), ("image", "label"), ("image", "boxes"), ("image", "target")
    more = ("sequence", "sequence", "label"), ("image", "boxes", "label"), ("vector", "label"), ("image", "image")
    for kind in (*kinds, *more, ("series", "label"), ("text", "label"), ("sequence", "length")):
        for style in ("tensor", "list"):
            yield [tuple(_value(each, n, style) for each in kind) for n in range(4)]
    for alone in ("sequence", "series", "text", "image"):
        yield [_value(alone, n, "tensor") for n in range(4)]


def record(keys: list[str], number: int, style: str) -> dict[str, Any]:
    """A sample with these keys; where there are boxes, its labels are theirs."""
    sample = {key: field(key, number, style) for key in keys}
    if any("box" in key.lower() for key in keys):
        own = torch.tensor([number % 3 + 1])
        plural = [key for key in keys if key.lower() in ("labels", "classes", "category_ids")]
        sample |= {key: own if style == "tensor" else own.tolist() for key in plural}
    return sample


def field(key: str, number: int, style: str) -> Any:
    """A value under a usual key of a sample."""
    word = key.lower()
    if re.search(r"box", word):
        corner = float(2 + number % 4)
        box = torch.tensor([[corner, corner + 1, corner + 5, corner + 8]])
        return box if style == "tensor" else box.tolist()
    if re.search(r"image|img|pixel|frame", word):
        return _value("image", number, "tensor")
    if re.search(r"audio|wave|speech|signal|mel|spec|series", word):
        return _value("series", number, "tensor")
    if re.search(r"text|caption|sentence|prompt", word):
        return _value("text", number, style)
    if re.search(r"mask", word):
        value = torch.ones(LENGTHS[number % 4], dtype=torch.int64)
        return value if style == "tensor" else value.tolist()
    if re.search(r"len|count|num", word):
        return LENGTHS[number % 4]
    if re.fullmatch(r"label|y|target|class|class_id|category", word):
        return _value("label", number, style)
    return _value("sequence", number, style)


def _value(kind: str, number: int, style: str) -> Any:
    """A value of that kind for a sample, unlike those of the others."""
    length = LENGTHS[number % 4]
    if kind == "label":
        return torch.tensor(number) if style == "tensor" else number
    if kind == "length":
        return length
    if kind == "sequence":
        value: Any = torch.arange(length) + 10 * (number + 1)
    elif kind == "series":
        value = torch.arange(length).float() * 0.1 + number + 1
    elif kind == "vector":
        value = torch.arange(6).float() * 0.1 + number + 1
    elif kind == "image":
        return torch.full((3, 8, 8), 0.1 * (number + 1))
    elif kind == "boxes":
        value = torch.arange((number % 2 + 1) * 5).float().view(-1, 5) * 0.01 + number + 1
    elif kind == "target":
        boxes = torch.tensor([[1.0, 1.0, 4.0, 5.0]]).repeat(number % 2 + 1, 1) + number
        return {"boxes": boxes, "labels": torch.full((len(boxes),), number + 1)}
    else:
        return " ".join(f"w{number}{place}" for place in range(length))
    return value if style == "tensor" else value.tolist()


def changed(sample: Sample, last: bool = False) -> Sample:
    """The sample with other values of the same shapes; only the last of each sequence is another one if `last`."""
    if isinstance(sample, dict):
        return {k: v if re.search(r"mask|len", k) else changed(v, last) for k, v in sample.items()}
    if isinstance(sample, tuple):
        return tuple(changed(value, last) for value in sample)
    if isinstance(sample, str):
        return sample.rsplit(" ", 1)[0] + " other" if last else sample.replace("w", "v")
    if isinstance(sample, list):
        return [*sample[:-1], changed(sample[-1])] if last and sample else [changed(value) for value in sample]
    if isinstance(sample, Tensor):
        if last and sample.dim() >= 1:
            return torch.cat([sample[:-1], sample[-1:] + 1])
        return sample if last else sample + 1
    return sample if last else sample + 1


def shortened(sample: Sample) -> Sample:
    """The sample with every sequence one element shorter."""
    if isinstance(sample, dict):
        return {k: v - 1 if "len" in k and isinstance(v, int) else shortened(v) for k, v in sample.items()}
    if isinstance(sample, tuple):
        return tuple(shortened(value) for value in sample)
    if isinstance(sample, str):
        return sample.rsplit(" ", 1)[0]
    if isinstance(sample, list) or (isinstance(sample, Tensor) and sample.dim() == 1):
        return sample[:-1]
    return sample


def named(result: Any, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a batch by key or place."""
    if isinstance(result, Tensor):
        return {prefix or "batch": result}
    if isinstance(result, dict) or hasattr(result, "items"):
        pairs = [(str(k), v) for k, v in result.items()]
    elif isinstance(result, (list, tuple)):
        pairs = [(f"output {i}", v) for i, v in enumerate(result)]
    else:
        pairs = list(vars(result).items()) if hasattr(result, "__dict__") else []
    return {name: value for key, part in pairs for name, value in named(part, f"{prefix}.{key}".strip(".")).items()}


def rows_moved(before: Tensor, after: Tensor) -> list[int]:
    """The rows in which two tensors differ; all of them where the shapes differ beyond the length."""
    if before.shape == after.shape:
        return [row for row in range(len(before)) if not judge.identical(before[row], after[row])]
    return list(range(len(before)))
