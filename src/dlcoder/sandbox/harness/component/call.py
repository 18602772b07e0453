"""Calling the user's component: its parameters, and the number or tensors that come back."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import torch
from torch import Tensor

from .contract import is_prediction, is_target
from .trace import tensors


def signature_of(component: Any, method: str = "forward") -> inspect.Signature | None:
    """The signature of what is called: `forward`, `__call__` or the function; None where there is none."""
    function = component
    if not inspect.isroutine(component) and hasattr(component, method):
        function = getattr(component, method)
    elif not callable(component):
        return None
    elif not inspect.isroutine(component):
        function = component.__call__
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def needed(
    component: Any, method: str = "forward", named: tuple[str, ...] = (), truth: bool = True
) -> list[inspect.Parameter]:
    """The parameters that a call must be given: required ones, the truth, and those that the contract names."""
    signature = signature_of(component, method)
    if signature is None or not signature.parameters:
        return [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("pred", "target")]
    found: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        optional = parameter.default is not parameter.empty
        wanted = not optional or parameter.name in named
        second = truth and len(found) == 1 and is_target(parameter.name) and not is_target(found[0].name)
        if wanted or (second and parameter.default is None) or (not found and is_prediction(parameter.name)):
            found.append(parameter)
    if not found and any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        return [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("pred", "target")]
    return found


def scalar(result: Any) -> Tensor | None:
    """The number that a loss returned: the tensor itself, or the first of a tuple, or `loss` of a dict or record."""
    if isinstance(result, Tensor):
        return result
    if isinstance(result, dict):
        for key in ("loss", "total", "total_loss", "loss_total"):
            if isinstance(result.get(key), Tensor):
                value: Tensor = result[key]
                return value
    if hasattr(result, "loss") and isinstance(result.loss, Tensor):
        attribute: Tensor = result.loss
        return attribute
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = [getattr(result, item.name) for item in dataclasses.fields(result)]
    if isinstance(result, (int, float)):
        return torch.tensor(float(result))
    found = tensors(result)
    return found[0] if found else None


def flat_outputs(result: Any) -> list[Tensor]:
    """Every floating tensor that a model returned, whatever it wraps them in."""
    if dataclasses.is_dataclass(result) and not isinstance(result, (type, dict)):
        result = [getattr(result, item.name) for item in dataclasses.fields(result)]
    elif hasattr(result, "__dict__") and not isinstance(result, (Tensor, dict, list, tuple)):
        result = list(vars(result).values())
    return [leaf for leaf in tensors(result) if leaf.is_floating_point()]
