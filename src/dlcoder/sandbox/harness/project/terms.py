"""Finds terms of a loss that have no graph: what they were computed from had been detached before."""

from __future__ import annotations

import re
from typing import Any

import torch

from .observe import Observer

_MARK = "_dlcoder_term"
_SUMS = ("__add__", "__radd__", "__iadd__", "__sub__", "__rsub__", "__isub__")
_SCALINGS = ("__mul__", "__rmul__", "__imul__", "__truediv__", "__itruediv__", "__neg__")
_LOSS = re.compile(
    r"loss|criterion|dice|jaccard|tversky|lovasz|focal|entropy|penalty|regular|divergence|contrast|triplet|hinge|"
    r"(\b|_)(kl|kld|ce|bce|nll|mse|l1|l2|tv|reg|aux|adv|rec|recon|info_?nce|commit)(\b|_|\d)",
    re.IGNORECASE,
)


class TermWatch:
    """Follows scalars without a graph that losses return, while gradients are on, to a sum that has one."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.originals: dict[str, Any] = {}
        self.found: list[dict[str, Any]] = []
        self.trained: set[tuple[str, str]] = set()

    def install(self) -> None:
        """Patch the arithmetic of tensors."""
        for name in (*_SUMS, *_SCALINGS):
            self.originals[name] = getattr(torch.Tensor, name)
            setattr(torch.Tensor, name, self._watched(self.originals[name], name in _SUMS))

    def remove(self) -> None:
        """Undo that: the verdict is final."""
        for name, original in self.originals.items():
            setattr(torch.Tensor, name, original)
        self.originals = {}

    def candidate(self, tensor: torch.Tensor, name: str, target: str, site: str) -> None:
        """Mark a scalar that a loss returned, if it has no graph; a call that once gave one is no fault.

        A term that is 0 has nothing to learn from: no positive sample, or a warm-up.
        """
        if tensor.requires_grad:
            self.trained.add((site, name))
        elif tensor.is_floating_point() and _LOSS.search(f"{name} {target}") and self.originals:
            with self.o.quiet():
                empty = not bool(tensor.any())
            if not empty:
                setattr(tensor, _MARK, {"name": name, "site": site, "target": target, "reached": False})

    def lost(self) -> list[dict[str, Any]]:
        """The terms that were added to a loss without ever having a graph."""
        unique = {(term["site"], term["name"]): term for term in self.found}
        return [term for place, term in unique.items() if place not in self.trained]

    def _watched(self, original: Any, adds: bool) -> Any:
        def operator(this: Any, *others: Any) -> Any:
            value = original(this, *others)
            mark = next((m for m in (getattr(t, _MARK, None) for t in (this, *others)) if m is not None), None)
            if mark is not None and isinstance(value, torch.Tensor) and value.dim() == 0 and not self.o.asleep:
                if not value.requires_grad:
                    setattr(value, _MARK, mark)
                elif adds:
                    self.found.append({**mark, "constant": True})
            return value

        return operator
