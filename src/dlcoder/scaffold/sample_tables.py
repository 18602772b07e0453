"""A small table, so that a project that reads tables can prove itself before it has seen the user's."""

import math
import struct
from functools import cache

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
def sample_arrays() -> dict[str, bytes]:
    """The same as arrays of NumPy, of about unit size."""
    files = {}
    for split, rows in _ROWS.items():
        scaled = [(height / 100 - 1.3, angle - 1.5, force / 10 - 5) for height, angle, force in map(_row, rows)]
        files[f"{split}_inputs.npy"] = _npy([row[:2] for row in scaled])
        files[f"{split}_targets.npy"] = _npy([row[2:] for row in scaled])
    return files


def _row(number: int) -> tuple[float, float, float]:
    height, angle = 100 + 37 * number % 61, number * 0.7 % math.pi
    return height, angle, 0.2 * height + 30 * math.sin(angle)


def _npy(rows: list[tuple[float, ...]]) -> bytes:
    """Rows of numbers as a .npy file, whose header is padded to 128 bytes."""
    shape = (len(rows), len(rows[0]))
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    values = [value for row in rows for value in row]
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    return start + struct.pack(f"<{len(values)}f", *values)
