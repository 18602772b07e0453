"""Constructing the user's object: the arguments that the contract gives, and guesses for those that have no default."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import inspect
import re
import types
import typing
from typing import Any, Union

import torch
from torch import nn

from .contract import Contract
from .core import Broken, reseed
from .source import Source


class Builder:
    """Builds fresh, equally seeded instances of the target.

    Args:
        target: A class, or a function that is itself the component (then `build` returns it).
        contract: Its `init` holds the arguments; guesses are noted as assumptions.
        source: The user's source.
        module: The user's module, in which `{"expr": "..."}` arguments are evaluated.
        constructs: Whether a function builds the component rather than being it.
    """

    def __init__(
        self, target: Any, contract: Contract, source: Source, module: types.ModuleType, constructs: bool = False
    ) -> None:
        self.target = target
        self.contract = contract
        self.source = source
        self.module = module
        self.is_class = inspect.isclass(target) or (constructs and inspect.isroutine(target))
        self.parameters = self._parameters()
        self.arguments: dict[str, Any] = {}

    def _parameters(self) -> dict[str, inspect.Parameter]:
        if not self.is_class:
            return {}
        try:
            return dict(inspect.signature(self.target).parameters)
        except (TypeError, ValueError):
            return {}

    def prepare(self) -> None:
        """Settle the arguments.

        Raises:
            Broken: A required argument is neither given nor guessable, or a given one does not exist.
        """
        given = dict(self.contract.get("init") or {})
        takes_any = any(p.kind is p.VAR_KEYWORD for p in self.parameters.values())
        for name in given:
            if self.is_class and name not in self.parameters and not takes_any:
                known = ", ".join(self.parameters)
                raise Broken(
                    name, "an argument of the constructor", f"It takes {known}.", f"Correct contract.init.{name}."
                )
        self.arguments = {name: self.value(value, self.parameters.get(name)) for name, value in given.items()}
        for name, parameter in self.parameters.items():
            if name in self.arguments or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            wanted = self._from_contract(name, parameter)
            if parameter.default is parameter.empty or wanted is not None:
                self.arguments[name] = self.guess(name, parameter) if wanted is None else wanted
                if name != "ignore_index":
                    self.contract.assume(f"{name}={_short(self.arguments[name])}")

    def _from_contract(self, name: str, parameter: inspect.Parameter) -> Any:
        """What the contract's own words say about a constructor argument."""
        if name in _CLASSES and "num_classes" in self.contract.given:
            return self.contract.sizes["C"]
        if name == "ignore_index" and self.contract.ignore_index is not None:
            return self.contract.ignore_index
        if name == "reduction" and self.contract.get("reduction") in ("mean", "sum", "none"):
            return self.contract.get("reduction")
        return None

    def value(self, value: Any, parameter: inspect.Parameter | None = None) -> Any:
        """A contract's JSON value as the object it stands for."""
        if isinstance(value, dict) and set(value) == {"expr"}:
            return eval(str(value["expr"]), {"torch": torch, "nn": nn, **vars(self.module)})
        if isinstance(value, dict) and set(value) == {"tensor"}:
            return torch.tensor(value["tensor"])
        if isinstance(value, str) and value in self.contract.sizes and re.fullmatch(r"[A-Z]\w?", value):
            return self.contract.sizes[value]
        if parameter is not None and isinstance(value, list) and "Tensor" in str(parameter.annotation):
            return torch.tensor(value)
        return value

    def guess(self, name: str, parameter: inspect.Parameter) -> Any:
        """A small, valid value for a required argument."""
        annotation = _resolved(self.target, name, parameter)
        if inspect.isclass(annotation) and dataclasses.is_dataclass(annotation):
            return self._dataclass(annotation)
        if typing.get_origin(annotation) in (list, tuple, collections.abc.Sequence):
            return [8, 16]
        size = self.contract.sizes["C"] if name in _CLASSES else None
        if size is not None:
            return size
        for pattern, value in _GUESSES:
            if re.fullmatch(pattern, name):
                return value() if callable(value) else value
        if _accepts(annotation, torch.Tensor):
            return torch.ones(self.contract.sizes["C"])
        for kind, fallback in ((bool, False), (int, 8), (float, 0.5), (str, "mean")):
            if annotation is kind or str(annotation) == kind.__name__:
                return fallback
        raise Broken(
            f"{name} has no default",
            "a value for every required argument",
            f"The constructor needs {name!r}, which could not be guessed.",
            f"Give contract.init.{name}.",
        )

    def _dataclass(self, kind: Any) -> Any:
        values = {}
        for item in dataclasses.fields(kind):
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                parameter = inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, annotation=item.type)
                values[item.name] = self.guess(item.name, parameter)
        return kind(**values)

    def build(self, **changes: Any) -> Any:
        """A fresh instance, seeded alike every time; the function itself if the component is one."""
        if isinstance(self.target, nn.Module):
            return copy.deepcopy(self.target)
        if not self.is_class:
            return self.target
        reseed()
        return self.construct(**changes)

    def construct(self, **changes: Any) -> Any:
        """A fresh instance from wherever the random generators stand."""
        arguments = {**self.arguments, **changes}
        positional = [p.name for p in self.parameters.values() if p.kind is p.POSITIONAL_ONLY]
        ordered = [arguments.pop(name) for name in positional if name in arguments]
        return self.target(*ordered, **arguments)

    def adopt_sizes(self) -> None:
        """Let symbols have the sizes that the constructor's or function's arguments state; the contract goes first."""
        for symbol, names in _SIZES.items():
            given = "num_classes" in self.contract.given and symbol == "C"
            value = next((v for v in map(self._own, names) if type(v) is int and v > 1), None)
            if value is not None and not given and symbol not in self.contract.given_sizes():
                self.contract.sizes[symbol] = value

    def _own(self, name: str) -> Any:
        if self.is_class:
            return self.default(name)
        try:
            parameter = inspect.signature(self.target).parameters.get(name)
        except (TypeError, ValueError):
            return None
        return None if parameter is None or parameter.default is parameter.empty else parameter.default

    def default(self, name: str) -> Any:
        """The value that a constructor argument has here."""
        if name in self.arguments:
            return self.arguments[name]
        parameter = self.parameters.get(name)
        return None if parameter is None or parameter.default is parameter.empty else parameter.default


_CLASSES = (
    "num_classes",
    "n_classes",
    "classes",
    "num_labels",
    "nclass",
    "nb_classes",
    "n_class",
    "n_cls",
    "num_class",
)

_SIZES = {
    "C": (*_CLASSES, "vocab_size", "n_vocab", "nb_class", "n_labels", "num_tags"),
    "D": ("embedding_dim", "embedding_size", "embed_dim", "emb_dim", "feat_dim", "feature_dim", "in_features", "dim"),
}


def _tiny_model() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5))


_GUESSES: tuple[tuple[str, Any], ...] = (
    (r"in_channels|in_ch|in_chans|channels|n_channels|num_channels|input_channels|img_channels", 3),
    (r"out_channels|out_ch|out_features|output_dim|out_dim|n_out|num_outputs", 5),
    (r"num_heads|n_heads?|heads|nhead|n_kv_heads", 2),
    (r"(num_|n_)?layers?|n_blocks|num_blocks|depth|num_hidden_layers", 2),
    (r"vocab_size|num_embeddings|n_vocab|vocab|num_tokens|ntoken", 40),
    (r"max_len|max_length|block_size|context_length|seq_len|max_seq_len|max_position_embeddings|sequence_length", 16),
    (r"patch_size|patch", 4),
    (r"img_size|image_size|input_size|resolution", 32),
    (r"kernel_size|window_size", 3),
    (r"stride|groups|dilation", 1),
    (r"padding", 1),
    (r"dim|d_model|hidden|hidden_(dim|size|channels)|embed_dim|emb_dim|embedding_(size|dim)|feature_dim|feat_dim", 16),
    (r"width|features|base_channels|in_features|input_dim|in_dim|num_features|n_embd|d_ff|mlp_dim|latent_dim|ch", 16),
    (r"dropout\w*|drop\w*|p|prob", 0.1),
    (r"temperature|tau|t", 0.5),
    (r"gamma", 2.0),
    (r"alpha|beta|lam\w*|\w*_weight|momentum", 0.25),
    (r"eps|epsilon|smooth", 1e-5),
    (r"data_range|max_val|value_range", 1.0),
    (r"margin|delta|scale|sigma", 1.0),
    (r"lr|learning_rate|base_lr|max_lr", 0.1),
    (r"decay", 0.9),
    (r"ignore_index", 255),
    (r"device", lambda: torch.device("cpu")),
    (r"generator|rng", torch.Generator),
    (r"model|module|net|network|backbone|encoder|student|teacher", _tiny_model),
)


def _resolved(target: Any, name: str, parameter: inspect.Parameter) -> Any:
    """A parameter's annotation, resolved where it is a text."""
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    try:
        function = target.__init__ if inspect.isclass(target) else target
        return typing.get_type_hints(function).get(name, parameter.annotation)
    except Exception:
        return parameter.annotation


def _accepts(annotation: Any, kind: type) -> bool:
    if annotation is kind:
        return True
    if typing.get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        return kind in typing.get_args(annotation)
    return False


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"tensor{tuple(value.shape)}"
    if isinstance(value, nn.Module):
        return type(value).__name__
    return repr(value)[:60]
