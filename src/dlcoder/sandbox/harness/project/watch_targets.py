"""Watches what losses compare: shapes that broadcast, tokens that are not the next ones, scores of the wrong kind."""

from __future__ import annotations

import functools
from typing import Any

import torch

from .observe import Observer

_ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
NORMALIZED = 0.02
"""How far from 1 probabilities may add up in half precision."""
_FARTHEST = 4
"""How many positions ahead a token target is looked for."""
_SHORTEST = 4
"""Sequences below this length may match by chance."""


class TargetWatch:
    """Writes `broadcast` and `tokens` events, each kind of finding once per line of user code."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.tokens: list[torch.Tensor] = []
        self.written: set[tuple[str, Any]] = set()

    def install(self) -> None:
        """Patch the losses that compare, and subtraction, by which people write them by hand."""
        special = {"cross_entropy": self._logits, "nll_loss": self._log_probabilities}
        special["kl_div"] = self._divergence
        special.update(dict.fromkeys(("binary_cross_entropy", "binary_cross_entropy_with_logits"), self._soft))
        for name in (*_ELEMENTWISE, *special):
            compare = special.get(name, self._same_shape)
            original = getattr(torch.nn.functional, name)
            setattr(torch.nn.functional, name, self._watched(original, compare))
        setattr(torch.Tensor, "__sub__", self._watched_subtraction(torch.Tensor.__sub__))  # noqa: B010

    def entered(self, inputs: Any) -> None:
        """A training forward pass begins: remember the token sequences that enter the model.

        Args:
            inputs: Its tensors.
        """
        self.tokens = [t for t in inputs if t.dim() == 2 and not t.is_floating_point() and min(t.shape) > 0]

    def _watched(self, original: Any, compare: Any) -> Any:
        @functools.wraps(original)
        def loss(*args: Any, **kwargs: Any) -> Any:
            first = args[0] if args else kwargs.get("input")
            second = args[1] if len(args) > 1 else kwargs.get("target")
            tensors = isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)
            if tensors and torch.is_grad_enabled() and not self.o.asleep:
                with self.o.quiet():
                    compare(first, second)
            return original(*args, **kwargs)

        return loss

    def _watched_subtraction(self, original: Any) -> Any:
        def subtract(this: Any, other: Any) -> Any:
            result = original(this, other)
            if isinstance(other, torch.Tensor) and this.dim() + other.dim() == 3 and result.requires_grad:
                column, row = (this, other) if this.dim() == 2 else (other, this)
                compared = this.requires_grad != other.requires_grad and not self.o.asleep
                if compared and row.dim() == 1 and len(row) > 1 and column.shape == (len(row), 1):
                    self._write("broadcast", tuple(this.shape), shapes=[list(this.shape), list(other.shape)])
            return result

        return subtract

    def _same_shape(self, prediction: torch.Tensor, target: torch.Tensor) -> None:
        """Both grow when they are compared: every prediction is compared with every target."""
        shape = torch.broadcast_shapes(prediction.shape, target.shape)
        if shape.numel() > max(prediction.numel(), target.numel()):
            self._write("broadcast", shape, shapes=[list(prediction.shape), list(target.shape)])

    def _logits(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        """Cross entropy takes logits, not what a softmax has made of them."""
        positive = logits.dim() > 1 and logits.shape[1] > 1 and not bool((logits < 0).any())
        if positive and bool((logits.float().sum(1) - 1).abs().max() < NORMALIZED):
            self._write("scores", "cross_entropy", name="cross_entropy")
        if logits.dim() == 2 and logits.shape[0] == logits.shape[1]:
            self._write("floor", "pairs", why="the loss compares the samples of a batch with each other")
        self._aligned(logits, target)

    def _divergence(self, scores: torch.Tensor, target: torch.Tensor) -> None:
        """A divergence takes log-probabilities first; beside another term it is seldom 0."""
        if scores.dim() > 1 and bool((scores >= 0).all()) and bool((scores.sum(-1) - 1).abs().max() < NORMALIZED):
            self._write("scores", "kl_div", name="kl_div")
        self._write("floor", "soft", why="the targets are another model's probabilities")

    def _soft(self, scores: torch.Tensor, target: torch.Tensor) -> None:
        """Targets between 0 and 1 have an entropy, below which no model gets."""
        if bool(((target > 0.01) & (target < 0.99)).any()):
            self._write("floor", "soft", why="the targets lie between 0 and 1")

    def _log_probabilities(self, scores: torch.Tensor, target: torch.Tensor) -> None:
        """The negative log likelihood takes what a log_softmax has made of logits."""
        if scores.dim() > 1 and bool(scores.float().logsumexp(1).abs().max() > NORMALIZED):
            self._write("scores", "nll_loss", name="nll_loss")

    def _aligned(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        """How many positions the target tokens are ahead of those that entered the model."""
        if target.is_floating_point() or not self.tokens:
            return
        offsets = [ahead(tokens, target) for tokens in self.tokens]
        found = [offset for offset in offsets if offset is not None]
        if found:
            offset = 1 if 1 in found else found[0]
            self._write("tokens", offset, ahead=offset)

    def _write(self, kind: str, what: Any, **fields: Any) -> None:
        site = self.o.trace.site(3)
        if (site, what) not in self.written:
            self.written.add((site, what))
            self.o.trace.write(kind, site=site, **fields)


def ahead(tokens: torch.Tensor, target: torch.Tensor) -> int | None:
    """By how many positions a target is ahead of the tokens it was predicted from; `None` if it is made of others.

    Args:
        tokens: `(B, T)` or `(T, B)`, integers.
        target: Integers of any shape that holds B sequences; negative ones are ignored.
    """
    for sequences, of in ((tokens, target), (tokens.t(), target)):
        rows, length = sequences.shape
        if length < _SHORTEST or of.numel() % rows:
            continue
        # Flattened from (T, B), the second dimension is the sequence's.
        wanted = of.reshape(rows, -1) if sequences is tokens else of.reshape(-1, rows).t()
        offsets: tuple[int, ...] = (1, 0, *range(2, _FARTHEST))
        for offset in offsets:
            count = min(length - offset, wanted.shape[1])
            if count < _SHORTEST // 2:
                continue
            a, b = wanted[:, :count], sequences[:, offset : offset + count]
            valid = a >= 0
            if int(valid.sum()) >= 0.5 * valid.numel() and bool((a == b)[valid].all()):
                return offset
    return None
