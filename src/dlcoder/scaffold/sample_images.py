"""A few small images, so that a project that reads images can prove itself before it has seen the user's."""

import io
import json
import math
import struct
import tarfile
import zlib
from collections.abc import Callable
from functools import cache, partial

from dlcoder.scaffold.sample_tables import npy

SIZE = 24
CLASSES = ("stripes", "waves")
_TRAIN, _VAL = 10, 3
_SPLITS = {"train": 20, "val": 5}
"""Images of a split: uneven shares for two ranks."""


@cache
def sample_images() -> dict[str, bytes]:
    """Two classes that differ in texture: PNG files, by their path in the sample folder."""
    files = {}
    for name in CLASSES:
        for index in range(_TRAIN + _VAL):
            split = "train" if index < _TRAIN else "val"
            # One fewer for one class, so that ranks get uneven shares.
            if not (name == "waves" and index == _TRAIN + _VAL - 1):
                files[f"{split}/{name}/{index}.png"] = _texture(name, index)
    return files


@cache
def listed_images() -> dict[str, bytes]:
    """The same images, listed with their label: `train.csv` and `val.csv` beside them."""
    files = dict(sample_images())
    for split in _SPLITS:
        rows = [f"{path},{path.split('/')[1]}" for path in files if path.startswith(f"{split}/")]
        files[f"{split}.csv"] = _lines("path,label", *rows)
    return files


@cache
def stacked_images() -> dict[str, bytes]:
    """Gray images of the two classes in arrays of NumPy, with their labels."""
    files = {}
    for split, count in _SPLITS.items():
        labels = bytes(index % len(CLASSES) for index in range(count))
        pixels = bytes(
            _brightness(CLASSES[label], index, x, y)
            for index, label in enumerate(labels)
            for y in range(SIZE)
            for x in range(SIZE)
        )
        files[f"{split}_images.npy"] = npy("|u1", (count, SIZE, SIZE), pixels)
        files[f"{split}_labels.npy"] = npy("|u1", (count,), labels)
    return files


@cache
def sharded_images() -> dict[str, bytes]:
    """The images of the two classes in tar files, two for each split."""
    files = {}
    for split, count in _SPLITS.items():
        for shard in range(2):
            members = {}
            for index in range(shard, count, 2):
                # Not every other one: that would be one class for each shard.
                label = index // 2 % 2
                members[f"{index:02}.png"] = _texture(CLASSES[label], index)
                members[f"{index:02}.cls"] = str(label).encode()
            files[f"{split}-{shard}.tar"] = _tar(members)
    return files


@cache
def flagged_images() -> dict[str, bytes]:
    """Images of none, one or both textures, listed with a column of 0 and 1 for each."""
    files = {}
    for split, count in _SPLITS.items():
        rows = []
        for index in range(count):
            flags = [name for bit, name in enumerate(CLASSES) if index >> bit & 1]
            files[f"{split}/{index}.png"] = _mixture(flags, index)
            rows.append(f"{split}/{index}.png,{','.join(str(int(name in flags)) for name in CLASSES)}")
        files[f"{split}.csv"] = _lines(f"path,{','.join(CLASSES)}", *rows)
    return files


@cache
def masked_images() -> dict[str, bytes]:
    """Images of a bright square on dark ground, each with a mask whose border does not count."""
    files = {"classes.txt": _lines("ground", "square")}
    for split, count in _SPLITS.items():
        for index in range(count):
            files[f"{split}/images/{index}.png"] = _png(partial(_square_color, index, 0), channels=3)
            files[f"{split}/masks/{index}.png"] = _png(partial(_square_label, index), channels=1)
    return files


@cache
def boxed_images() -> dict[str, bytes]:
    """Images of a square, or of nothing, with annotations in the format of COCO; ids have gaps, as there."""
    files = {}
    for split, count in _SPLITS.items():
        images, annotations = [], []
        for index in range(count):
            category = index % 3  # 2: nothing to find
            images.append({"id": 10 * index, "file_name": f"{index}.png", "width": SIZE, "height": SIZE})
            files[f"{split}2017/{index}.png"] = _png(partial(_square_color, index, category), channels=3)
            if category < 2:
                left, top, side = _square(index)
                box = {"id": index, "image_id": 10 * index, "category_id": (1, 7)[category]}
                annotations.append({**box, "bbox": [left, top, side, side], "area": side**2, "iscrowd": 0})
        categories = [{"id": 1, "name": "red"}, {"id": 7, "name": "green"}]
        tree = {"images": images, "annotations": annotations, "categories": categories}
        files[f"annotations/instances_{split}2017.json"] = _lines(json.dumps(tree))
    return files


def _tar(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _lines(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()


def _square(index: int) -> tuple[int, int, int]:
    """Left, top and side of the square of an image."""
    return 1 + index * 5 % 9, 1 + index * 7 % 10, 8 + index % 5


def _square_label(index: int, x: int, y: int) -> tuple[int]:
    """1 inside the square of an image, 255 on its border, 0 outside."""
    left, top, side = _square(index)
    far = max(abs(2 * (x - left) - side), abs(2 * (y - top) - side))
    return (1 if far < side else 255 if far == side else 0,)


def _square_color(index: int, category: int, x: int, y: int) -> tuple[int, ...]:
    """Colors by category; 2 is as dark as the ground."""
    ground = (40, 40, 60)
    return ((220, 50, 50), (50, 220, 50), ground)[category] if any(_square_label(index, x, y)) else ground


def _texture(name: str, index: int) -> bytes:
    return _png(lambda x, y: (_brightness(name, index, x, y),) * 3, channels=3)


def _mixture(names: list[str], index: int) -> bytes:
    def color(x: int, y: int) -> tuple[int, ...]:
        # Each texture has a channel of its own.
        red, green = (_brightness(name, index, x, y) if name in names else 20 for name in CLASSES)
        return red, green, 20

    return _png(color, channels=3)


def _brightness(name: str, index: int, x: int, y: int) -> int:
    if name == "stripes":
        return 220 if (x + index) % 6 < 3 else 40
    return round(130 + 90 * math.sin((y + index) / 2))


def _png(color: Callable[[int, int], tuple[int, ...]], *, channels: int) -> bytes:
    """A square image from the values of each pixel: three of a color, or one."""
    rows = b"".join(b"\0" + bytes(value for x in range(SIZE) for value in color(x, y)) for y in range(SIZE))
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
