"""Tensors for every role that an input can play."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .contract import Contract, Spec


class Texts(list[Any]):
    """Sentences that stand in for a tensor: as long, cut and copied as one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Their number."""
        return (len(self),)

    def dim(self) -> int:
        """One: a sentence for each sample."""
        return 1

    def clone(self) -> Texts:
        """A copy."""
        return Texts(self)

    def is_floating_point(self) -> bool:
        """False."""
        return False

    def __getitem__(self, key: Any) -> Any:
        """A sentence, or some of them."""
        found = super().__getitem__(key)
        return Texts(found) if isinstance(key, slice) else found


INTEGER_ROLES = ("labels", "ids", "tokens")


def class_dim(shape: tuple[int, ...]) -> int:
    """The dimension that holds the classes of a prediction of this shape: 1, or the last of a (B, T, C)."""
    return 1 if len(shape) > 1 else 0


def make(spec: Spec, contract: Contract, generator: torch.Generator, sizes: dict[str, int] | None = None) -> Any:
    """Draw a tensor for an input."""
    shape = contract.shape(spec.shape, sizes)
    value = _draw(spec, shape, contract, generator, sizes)
    if spec.dtype:
        value = value.to(getattr(torch, {"long": "int64", "float": "float32"}.get(spec.dtype, spec.dtype)))
    return value


def _draw(
    spec: Spec, shape: tuple[int, ...], contract: Contract, generator: torch.Generator, sizes: dict[str, int] | None
) -> Any:
    if spec.choices:
        picks = torch.randint(0, len(spec.choices), shape, generator=generator)
        return torch.tensor(spec.choices)[picks]
    if spec.role in TEXT_ROLES:
        return _texts(spec.role, shape[0], generator)
    if spec.role == "counts":
        return torch.randint(0, 6, shape, generator=generator).float()
    if spec.role in MASK_ROLES:
        return as_mask(spec.role, _kept(shape))
    if spec.role == "lengths":
        return _lengths(shape, int(spec.high or (sizes or contract.sizes)["T"]))
    if spec.role in INTEGER_ROLES:
        return _integers(spec, shape, contract, generator, sizes)
    if spec.role in _BINARY:
        coin = torch.rand(shape, generator=generator) < _BINARY[spec.role]
        return (
            coin
            if spec.role == "boolmask"
            else coin.float() * (2 if spec.role == "signs" else 1) - (1 if spec.role == "signs" else 0)
        )
    if spec.role == "boxes":
        corner = torch.rand(*shape[:-1], 2, generator=generator) * 20
        return torch.cat([corner, corner + 2 + torch.rand(*shape[:-1], 2, generator=generator) * 10], dim=-1)
    if spec.role == "onehot":
        labels = balanced((shape[0], *shape[2:]), shape[1], generator)
        return torch.nn.functional.one_hot(labels, shape[1]).movedim(-1, 1).float()
    noise = torch.randn(shape, generator=generator)
    drawn: Tensor = _REAL.get(spec.role, lambda value, _: value)(_ranged(noise, spec, generator), spec)
    return drawn


TEXT_ROLES = ("texts", "words", "references")
"""Sentences, sentences cut into words, and lists of one or more sentences for each sample."""


def _texts(role: str, count: int, generator: torch.Generator) -> Any:
    """One sentence a sample; drawn anew, some of its words are others or missing."""
    found: list[Any] = []
    for number in range(count):
        words = [f"w{(number * 5 + place) % 17}" for place in range(6 + number % 4)]
        luck = torch.rand(len(words), generator=generator).tolist()
        kept = [
            word if each < 0.8 else f"x{place}" for place, (word, each) in enumerate(zip(words, luck)) if each < 0.92
        ]
        found.append(" ".join(kept or words[:1]))
    if role == "words":
        return Texts([text.split() for text in found])
    return Texts([[text] for text in found] if role == "references" else found)


def _lengths(shape: tuple[int, ...], longest: int) -> Tensor:
    """Lengths of sequences: the first as long as the padded ones, others shorter, none empty."""
    count = int(torch.tensor(shape).prod()) if shape else 1
    return (longest - torch.arange(count) % max(longest // 2, 1)).reshape(shape)


MASK_ROLES = ("pad_true", "keep_one", "keep_true", "maybe_keep_one", "maybe_keep_true", "maybe_pad_true")
"""Masks of positions by what they hold; one that begins with `maybe_` may also mean the opposite."""


def _kept(shape: tuple[int, ...]) -> Tensor:
    """Positions that are none of padding, which the last third of every other sample is."""
    kept = torch.ones(shape, dtype=torch.bool)
    kept[::2, -(shape[-1] // 3) :] = False
    return kept


def as_mask(role: str, kept: Tensor) -> Tensor:
    """Positions that count, as a mask of that role states them."""
    if role.endswith("pad_true"):
        return ~kept
    return kept.long() if role.endswith("keep_one") else kept


_BINARY = {"multihot": 0.5, "boolmask": 0.7, "signs": 0.5, "padding": 0.7}


def _ranged(noise: Tensor, spec: Spec, generator: torch.Generator) -> Tensor:
    if spec.low is None or spec.high is None:
        return noise
    return torch.rand(noise.shape, generator=generator) * (spec.high - spec.low) + spec.low


_REAL: dict[str, Any] = {
    "logits": lambda value, spec: value * 1.5 if spec.low is None else value,
    "unit": lambda value, spec: torch.sigmoid(value) if spec.low is None else value.clamp(0.02, 0.98),
    "probs": lambda value, spec: torch.softmax(value, dim=class_dim(tuple(value.shape))),
    "logprobs": lambda value, spec: torch.log_softmax(value, dim=class_dim(tuple(value.shape))),
    "weights": lambda value, spec: torch.sigmoid(value) + 0.5,
    "positive": lambda value, spec: torch.sigmoid(value) + 0.5,
}


def _integers(
    spec: Spec, shape: tuple[int, ...], contract: Contract, generator: torch.Generator, sizes: dict[str, int] | None
) -> Tensor:
    if spec.role == "ids":
        return torch.arange(shape[0]) // 2 if len(shape) == 1 else torch.zeros(shape, dtype=torch.int64)
    table = sizes or contract.sizes
    symbol = "V" if spec.role == "tokens" else "C"
    low = 0 if spec.low is None else int(spec.low)
    high = table[symbol] if spec.high is None else int(spec.high)
    return balanced(shape, max(high - low, 1), generator) + low


def balanced(shape: tuple[int, ...], classes: int, generator: torch.Generator) -> Tensor:
    """Class indices in which every class is present if there is room, in random places."""
    count = 1
    for size in shape:
        count *= size
    order = torch.randperm(count, generator=generator)
    return (torch.arange(count) % classes)[order].reshape(shape)
