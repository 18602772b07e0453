"""A few small images, so that a project that reads images can prove itself before it has seen the user's."""

import math
import struct
import zlib
from functools import cache

SIZE = 24
_TRAIN, _VAL = 10, 3


@cache
def sample_images() -> dict[str, bytes]:
    """Two classes that differ in texture: PNG files, by their path in the sample folder."""
    files = {}
    for name in ("stripes", "waves"):
        for index in range(_TRAIN + _VAL):
            split = "train" if index < _TRAIN else "val"
            # One fewer for one class, so that ranks get uneven shares.
            if not (name == "waves" and index == _TRAIN + _VAL - 1):
                files[f"{split}/{name}/{index}.png"] = _png(name, index)
    return files


def _png(name: str, index: int) -> bytes:
    rows = b"".join(
        b"\0" + bytes(_pixel(name, index, x, y) for x in range(SIZE) for _ in range(3)) for y in range(SIZE)
    )
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _pixel(name: str, index: int, x: int, y: int) -> int:
    if name == "stripes":
        return 220 if (x + index) % 6 < 3 else 40
    return round(130 + 90 * math.sin((y + index) / 2))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
