"""The wire format of protocol buffers: enough to read the messages of others without their libraries."""

from collections.abc import Iterator
from typing import Any


def fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """The fields of a message: number, wire type (0 a whole number, 1 eight bytes, 2 bytes, 5 four bytes), value."""
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, place = varint(data, place)
            yield field, wire, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if size is None:
            if wire != 2:
                return
            size, place = varint(data, place)
        yield field, wire, data[place : place + size]
        place += size


def varint(data: bytes, place: int) -> tuple[int, int]:
    """The number of variable length at `place`, and where the next begins."""
    value = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return value, place
