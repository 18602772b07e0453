"""What a function or an object does, as text, so that a change of it can be noticed."""

import hashlib
import inspect
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor


def describe(value: Any) -> str:
    """Return source, settings and what is enclosed, as text.

    Functions that are called by a global name are not followed.
    """
    if isinstance(value, Tensor):
        # As bytes: NumPy lacks some of the types.
        flat = value.detach().cpu().contiguous().reshape(-1)
        return f"{value.dtype} {value.shape} {describe(flat.view(torch.uint8).numpy())}"
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(value.tobytes()).hexdigest()
        return f"{value.dtype} {value.shape} {digest}"
    if isinstance(value, partial):
        return f"partial {describe([value.func, value.args, value.keywords])}"
    if isinstance(value, dict | set | frozenset | list | tuple):
        return _collection(value)
    if inspect.ismethod(value):
        return describe([value.__func__, value.__self__])
    if inspect.isfunction(value):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        within = [cells, value.__defaults__, value.__kwdefaults__]
        return f"{_source(value)} {describe(within)}"
    if isinstance(value, type) or inspect.isroutine(value):
        return _source(value)
    if hasattr(value, "__dict__"):
        return f"{_source(type(value))} {describe(vars(value))}"
    return repr(value)


def _collection(values: Any) -> str:
    if isinstance(values, dict):
        return describe([[key, values[key]] for key in sorted(values, key=str)])
    parts = [describe(value) for value in values]
    if isinstance(values, set | frozenset):
        # The order of a set changes from process to process.
        parts.sort()
    return f"[{', '.join(parts)}]"


def _source(code: Any) -> str:
    try:
        source = inspect.getsource(code)
    except (OSError, TypeError):
        # Typed in, or compiled: its name must do.
        source = ""
    return f"{code.__module__}.{code.__qualname__} {source}"
