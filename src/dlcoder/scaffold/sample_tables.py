"""A small table, so that a project that reads tables can prove itself before it has seen the user's."""

import math
import struct
from functools import cache

CLASSES = ("weak", "strong")
_ROWS = {"train": range(32), "val": range(32, 39)}


@cache
def sample_tables() -> dict[str, bytes]:
    """A number that follows from two others: CSV files, by their path in the sample folder."""
    files = {}
    for split, rows in _ROWS.items():
        lines = [",".join(f"{value:.3f}" for value in _row(row)) for row in rows]
        files[f"{split}.csv"] = "\n".join(["height,angle,force", *lines, ""]).encode()
    return files


@cache
def labeled_tables() -> dict[str, bytes]:
    """The same with a class in place of the number: whether it is above the middle."""
    files = {}
    for split, rows in _ROWS.items():
        lines = [f"{height:.3f},{angle:.3f},{CLASSES[_label(force)]}" for height, angle, force in map(_row, rows)]
        files[f"{split}.csv"] = "\n".join(["height,angle,kind", *lines, ""]).encode()
    return files


@cache
def sample_arrays() -> dict[str, bytes]:
    """The same as arrays of NumPy, of about unit size."""
    files = {}
    for split, rows in _ROWS.items():
        scaled = [(height / 100 - 1.3, angle - 1.5, force / 10 - 5) for height, angle, force in map(_row, rows)]
        files[f"{split}_inputs.npy"] = _floats([row[:2] for row in scaled])
        files[f"{split}_targets.npy"] = _floats([row[2:] for row in scaled])
    return files


@cache
def labeled_arrays() -> dict[str, bytes]:
    """The same with labels in place of targets."""
    files = {path: content for path, content in sample_arrays().items() if "inputs" in path}
    for split, rows in _ROWS.items():
        labels = bytes(_label(_row(row)[2]) for row in rows)
        files[f"{split}_labels.npy"] = npy("|u1", (len(labels),), labels)
    return files


def _row(number: int) -> tuple[float, float, float]:
    height, angle = 100 + 37 * number % 61, number * 0.7 % math.pi
    return height, angle, 0.2 * height + 30 * math.sin(angle)


def _label(force: float) -> int:
    return int(force > 50)


def _floats(rows: list[tuple[float, ...]]) -> bytes:
    values = [value for row in rows for value in row]
    return npy("<f4", (len(rows), len(rows[0])), struct.pack(f"<{len(values)}f", *values))


def npy(dtype: str, shape: tuple[int, ...], content: bytes) -> bytes:
    """A .npy file, whose header is padded to 128 bytes."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content
