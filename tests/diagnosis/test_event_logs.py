"""TensorBoard event files are diagnosed like a log of the same numbers."""

import math
import random
import struct
from pathlib import Path

from dlcoder.diagnosis.diagnose import diagnose


def record(payload: bytes) -> bytes:
    """A TFRecord; checksums are not looked at."""
    return struct.pack("<Q", len(payload)) + b"\0" * 4 + payload + b"\0" * 4


def event(step: int, tag: str, value: float) -> bytes:
    """One scalar as TensorBoard's writer puts it: time, step, summary of one value."""
    name = tag.encode()
    scalar = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(scalar)]) + scalar
    varint = bytes([step]) if step < 128 else bytes([step & 127 | 128, step >> 7])
    return record(b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint + b"\x2a" + bytes([len(summary)]) + summary)


def diverging(folder: Path) -> Path:
    """Event files of a run whose loss runs away at a high learning rate from step 200 on."""
    file = folder / "events.out.tfevents.1700000000.host.1.0"
    losses = [2.0 - step / 200 if step < 200 else 3.0 ** (step - 200) for step in range(240)]
    values = [loss if step < 230 else math.nan for step, loss in enumerate(losses)]
    data = b"".join(event(s, "train/loss", v) + event(s, "lr", 0.5) for s, v in enumerate(values))
    file.write_bytes(data)
    return file


def test_a_loss_that_runs_away_is_seen_in_event_files(tmp_path: Path) -> None:
    file = diverging(tmp_path)
    found = diagnose(paths=[tmp_path])
    assert (found.status, found.hypotheses[0].cause) == ("failed", "nan-lr-too-high")
    assert {item.source for item in found.hypotheses[0].evidence} == {file.name}


def test_damaged_event_files_are_no_obstacle_to_the_logs_beside_them(tmp_path: Path) -> None:
    file = diverging(tmp_path)
    data = bytearray(file.read_bytes())
    for place in random.Random(0).sample(range(len(data)), 400):
        data[place] ^= 255
    file.write_bytes(bytes(data))
    (tmp_path / "train.log").write_text("RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x8 and 9x2)\n")
    found = diagnose(paths=[tmp_path])
    assert found.hypotheses[0].cause == "shape-matmul"
