"""What a watched process writes down, and the fingerprints in which it does so."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

import torch

SAMPLED_BYTES = 64 << 20
"""Tensors above this size are fingerprinted by their ends only."""


class Trace:
    """One process's events, one JSON object a line, appended so that a kill loses nothing.

    Args:
        path: The file.
        root: The project's directory, with which the files of user code begin.
        rank: Which rank this is.
    """

    def __init__(self, path: str, root: str, rank: int) -> None:
        self.root = root.rstrip("/") + "/"
        self.rank = rank
        self.pid = os.getpid()
        self.written: Callable[[Trace, str], None] | None = None
        """Told every event after it was written."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @property
    def mine(self) -> bool:
        """Whether this process is the watched one, not a child that it forked (a loader's worker)."""
        return os.getpid() == self.pid

    def write(self, kind: str, **fields: Any) -> None:
        """Append one event."""
        if self.mine:
            fields["e"] = kind
            line = json.dumps(fields, default=repr)
            os.write(self._fd, (line + "\n").encode())
            if self.written is not None:
                self.written(self, line)

    def site(self, depth: int = 1) -> str:
        """The nearest line of user code up the stack as "file:line", or an empty text."""
        frame: Any = sys._getframe(depth)
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(self.root):
                return f"{name[len(self.root) :]}:{frame.f_lineno}"
            frame = frame.f_back
        return ""

    def frames(self, depth: int = 1) -> Iterable[Any]:
        """All frames, innermost first."""
        frame: Any = sys._getframe(depth)
        while frame is not None:
            yield frame
            frame = frame.f_back

    def user_frames(self, depth: int = 1) -> Iterable[Any]:
        """The frames of user code, innermost first."""
        return (f for f in self.frames(depth + 1) if f.f_code.co_filename.startswith(self.root))


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor; of one that is sharded (a DTensor), all ranks' shares put together, for which all ranks must ask."""
    gather = getattr(tensor, "full_tensor", None)
    return gather() if gather is not None else tensor


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """The raw content of a tensor (of a very large one: both ends)."""
    tensor = whole(tensor.detach())
    if tensor.is_sparse or tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.device.type == "meta" or tensor.numel() == 0:
        return b""
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.numel() * tensor.element_size() > SAMPLED_BYTES:
        flat = tensor.reshape(-1)
        tensor = torch.cat([flat[: 1 << 20], flat[-(1 << 20) :]])
    tensor = tensor.cpu().contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def digest_bytes(data: bytes) -> str:
    """A short fingerprint."""
    return hashlib.blake2b(data, digest_size=6).hexdigest()


def digest(value: Any) -> str:
    """A fingerprint of anything made of tensors, containers and plain values."""
    state = hashlib.blake2b(digest_size=6)
    _feed(state, value, 0)
    return state.hexdigest()


def _feed(state: Any, value: Any, depth: int) -> None:
    if isinstance(value, torch.Tensor):
        state.update(str(tuple(value.shape)).encode() + str(value.dtype).encode())
        state.update(tensor_bytes(value))
    elif depth > 6:
        return
    elif isinstance(value, dict):
        for key in value:
            state.update(str(key).encode())
            _feed(state, value[key], depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _feed(state, item, depth + 1)
    elif isinstance(value, (int, float, str, bool, bytes)) or value is None:
        state.update(repr(value).encode())
    elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
        state.update(value.tobytes())


def tensors_in(value: Any, depth: int = 0) -> Iterable[torch.Tensor]:
    """Every tensor in nested containers, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth < 4 and isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item, depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item, depth + 1)


def sample_digests(batch: Any, limit: int = 64) -> list[str]:
    """A fingerprint of each sample of a batch: of its row in every tensor that has a first dimension in common."""
    tensors = [t for t in tensors_in(batch) if t.dim() > 0]
    if not tensors:
        return []
    size = tensors[0].shape[0]
    rows = [t for t in tensors if t.shape[0] == size]
    return [digest_bytes(b"".join(tensor_bytes(t[i]) for t in rows)) for i in range(min(size, limit))]


def read_trace(path: str) -> list[dict[str, Any]]:
    """The events that a process has written so far."""
    events = []
    with contextlib.suppress(FileNotFoundError), Path(path).open("rb") as file:
        for line in file:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "e" in event:
                    events.append(event)
    return events
