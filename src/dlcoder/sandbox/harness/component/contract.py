"""What the caller says about the code: names, sizes, shapes. Everything else is inferred and reported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

# Sizes that differ from each other, so that two swapped dimensions show.
DEFAULT_SIZES = {"B": 4, "N": 8, "C": 5, "H": 12, "W": 10, "T": 9, "L": 9, "S": 9, "D": 16, "E": 16, "K": 3, "V": 40}
_SPARE = (6, 7, 11, 13, 14)


@dataclass(frozen=True)
class Spec:
    """One input tensor.

    Attributes:
        name: The parameter that takes it.
        shape: Sizes or symbols.
        role: What its values mean (see `values.py`).
        dtype: A torch dtype's name; empty for the role's own.
        low: Least value, where given.
        high: End of the values (exclusive for integers), where given.
    """

    name: str
    shape: tuple[Any, ...]
    role: str
    dtype: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[float, ...] = ()


@dataclass
class Contract:
    """The caller's contract, read; `raw` holds what only one kind of check asks for."""

    raw: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Contract:
        """Take the caller's dict apart; `validate_code` has refused unknown keys before."""
        sizes = dict(DEFAULT_SIZES)
        sizes.update({str(key).upper(): int(value) for key, value in (raw.get("sizes") or {}).items()})
        if raw.get("num_classes"):
            sizes["C"] = int(raw["num_classes"])
        return cls(raw=dict(raw), sizes=sizes)

    def get(self, key: str, default: Any = None) -> Any:
        """The caller's value for a key, or the default."""
        value = self.raw.get(key)
        return default if value is None else value

    @property
    def given(self) -> set[str]:
        """The keys that the caller set."""
        return {key for key, value in self.raw.items() if value is not None}

    def assume(self, text: str) -> None:
        """Note something that was inferred, once."""
        if text not in self.assumptions:
            self.assumptions.append(text)

    def given_sizes(self) -> set[str]:
        """The symbols that the caller gave a size."""
        return {str(key).upper() for key in (self.get("sizes") or {})}

    @property
    def ignore_index(self) -> int | None:
        """The ignored label as the caller states it, at the top or with an input."""
        if self.get("ignore_index") is not None:
            return int(self.raw["ignore_index"])
        for value in (self.get("inputs") or {}).values():
            if isinstance(value, dict) and value.get("ignore_index") is not None:
                return int(value["ignore_index"])
        return None

    def size(self, entry: Any, sizes: dict[str, int] | None = None) -> int:
        """The number that a shape's entry (5, "H", "H//4") stands for."""
        table = sizes or self.sizes
        if isinstance(entry, int):
            return entry
        text = str(entry).strip()
        if re.fullmatch(r"-?\d+", text):
            return int(text)
        for symbol in re.findall(r"[A-Za-z_]\w*", text):
            if symbol.upper() not in table:
                table[symbol.upper()] = self.sizes.setdefault(symbol.upper(), _SPARE[len(symbol) % len(_SPARE)])
        if not re.fullmatch(r"[\w\s+*/()-]+", text):
            raise ValueError(f"A shape may hold numbers, symbols and arithmetic, not {text!r}.")
        return int(eval(text.upper(), {"__builtins__": {}}, dict(table)))

    def shape(self, shape: Sequence[Any], sizes: dict[str, int] | None = None) -> tuple[int, ...]:
        """A shape in numbers."""
        return tuple(self.size(entry, sizes) for entry in shape)

    def specs(self) -> list[Spec] | None:
        """The inputs as the caller states them; None if he does not."""
        given = self.get("inputs")
        if not given:
            return None
        specs = [read_spec(str(name), value) for name, value in given.items()]
        boxes = {spec.shape for spec in specs if spec.role == "boxes"}
        # Where one input holds boxes, another of its shape does, too.
        return [replace(spec, role="boxes") if spec.role == "real" and spec.shape in boxes else spec for spec in specs]


def read_spec(name: str, value: Any) -> Spec:
    """Read one input: `{shape, dtype, range, values, role}`, a list of sizes or a text such as "B, C, H, W"."""
    if not isinstance(value, dict):
        value = {"shape": value}
    shape = value.get("shape", ())
    if isinstance(shape, str):
        shape = [part for part in re.split(r"[,\s]+", shape.strip("()[] ")) if part]
    dtype = str(value.get("dtype", "")).replace("torch.", "")
    low, high = (value.get("range") or (None, None))[:2]
    choices = tuple(float(v) for v in value.get("values") or ())
    scores = "C" in [str(part) for part in shape] and not is_embedding(name)
    role = str(value.get("role") or _role(name, dtype, low, high, choices, scores))
    return Spec(name, tuple(shape), role, dtype, _bound(low), _bound(high), choices)


def _bound(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _role(name: str, dtype: str, low: Any, high: Any, choices: tuple[float, ...], scores: bool) -> str:
    if dtype in ("bool",):
        return "boolmask"
    if dtype.startswith(("int", "long", "uint")):
        return "labels" if is_target(name) or high in ("C", "num_classes") else "tokens"
    if choices and set(choices) <= {0.0, 1.0}:
        return "multihot"
    if low == 0 and high == 1:
        return "unit"
    if "box" in name:
        return "boxes"
    if is_weight(name):
        return "weights"
    return "logits" if scores or (is_prediction(name) and not is_embedding(name)) else "real"


_PREDICTION = re.compile(
    r"^(x|inputs?|logits?|preds?|predictions?|outputs?|y_?pred|y_?hat|y_?scores?|y_?probs?|scores?|src|probs?|probabilities|log_?probs?|"
    r"student\w*|pred_\w+|pre_\w+|forecasts?|\w+_(logits?|preds?|hat))(_[BCHWDTNL]+)?$",
    re.I,
)
_TARGET = re.compile(
    r"^(targets?|labels?|y|y_?true|gts?|gt_\w+|truth|ground_?truth|true|masks?|tgt|actuals?|"
    r"y_[ab12]|(targets?|labels?)_?[ab12]|\w+_(targets?|labels?))(_[BCHWDTNL]+)?$",
    re.I,
)
_EMBEDDING = re.compile(r"^(emb\w*|feats?|features?|representations?|z|hidden\w*)$", re.I)
_WEIGHT = re.compile(r"(^|_)weights?(_|$)|_weight$", re.I)


def is_prediction(name: str) -> bool:
    """Whether a parameter's name says that it takes a prediction."""
    return bool(_PREDICTION.match(name))


def is_embedding(name: str) -> bool:
    """Whether a parameter's name says that it takes embeddings."""
    return bool(_EMBEDDING.match(name))


def is_target(name: str) -> bool:
    """Whether a parameter's name says that it takes the truth."""
    return bool(_TARGET.match(name))


def is_weight(name: str) -> bool:
    """Whether a parameter's name says that it takes weights."""
    return bool(_WEIGHT.search(name))
