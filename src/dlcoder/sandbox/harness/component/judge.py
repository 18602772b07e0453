"""What verdicts rest on: torch functions bound before any user code is loaded.

A program that replaces `torch.isfinite` or `Tensor.backward` afterwards changes what it computes, not what is thought
of it. Every function here takes plain tensors and returns plain Python numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_isfinite = torch.isfinite
_all = torch.all
_abs = torch.abs
_max = torch.max
_sub = torch.sub
_sum = torch.sum
_mul = torch.mul
_equal = torch.equal
_item = torch.Tensor.item
_detach = torch.Tensor.detach
_to = torch.Tensor.to
_numel = torch.Tensor.numel
_grad = torch.autograd.grad
_no_grad = torch.no_grad
_plain = torch._C.DisableTorchFunctionSubclass
_float64 = torch.float64


def wide(value: Tensor) -> Tensor:
    """A detached float64 (or complex128) copy, free of any tensor subclass's own ideas."""
    with _plain(), _no_grad():
        plain = _detach(value)
        return _to(plain, torch.complex128) if plain.is_complex() else _to(plain, _float64)


def number(value: Any) -> float:
    """The float held by a scalar tensor or number."""
    if isinstance(value, Tensor):
        with _plain():
            return float(_item(wide(value)))
    return float(value)


def finite(value: Tensor) -> bool:
    """Whether every element is finite."""
    with _plain():
        return bool(_item(_all(_isfinite(_detach(value)))))


def max_abs(value: Tensor) -> float:
    """The largest magnitude, 0 for an empty tensor; nan if any element is nan."""
    if _numel(value) == 0:
        return 0.0
    with _plain():
        return float(_item(_max(_abs(wide(value)))))


def distance(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference; inf where shapes or finiteness differ."""
    if tuple(a.shape) != tuple(b.shape):
        return math.inf
    if _numel(a) == 0:
        return 0.0
    with _plain():
        gap = float(_item(_max(_abs(_sub(wide(a), wide(b))))))
    if math.isnan(gap):
        return 0.0 if identical(a, b) else math.inf
    return gap


def identical(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same values, nan equal to nan."""
    if tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
        return False
    with _plain(), _no_grad():
        left, right = _detach(a), _detach(b)
        if _equal(left, right):
            return True
        both_nan = (left != left) & (right != right)
        return bool(_item(_all((left == right) | both_nan)))


def close(a: float, b: float, rtol: float, atol: float) -> bool:
    """Whether two numbers agree; nan agrees with nothing."""
    if math.isnan(a) or math.isnan(b):
        return False
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= atol + rtol * max(abs(a), abs(b))


def dot(a: Tensor, b: Tensor) -> float:
    """The inner product in float64."""
    with _plain():
        return float(_item(_sum(_mul(wide(a), wide(b)))))


def total(value: Tensor) -> float:
    """The sum in float64."""
    with _plain():
        return float(_item(_sum(wide(value))))


def gradients(output: Tensor, inputs: Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients of a scalar, None where the graph does not lead to an input."""
    return list(_grad(output, list(inputs), allow_unused=True))
