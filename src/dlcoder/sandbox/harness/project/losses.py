"""Follows every scalar that a loss returns to the backward pass: one that never gets there is not wired in."""

from __future__ import annotations

import linecache
import re
import sys
from typing import Any

import torch

from .observe import Observer, tags
from .terms import TermWatch
from .trace import tensors_in

_RATE = re.compile(r"(^|_)(lr|learning_?rate)($|_)|^(get_)?rate$", re.IGNORECASE)
MAX_NODES = 20_000
WINDOWS = 2
_FUNCTIONS = [
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "kl_div",
    "binary_cross_entropy_with_logits",
    "poisson_nll_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "triplet_margin_loss",
    "cosine_embedding_loss",
    "ctc_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
]
_METRIC = re.compile(
    r"(^|_)(acc|accuracy|mae|mse|rmse|metrics?|psnr|ssim|iou|f1|ppl|perplexity|score|err|error|norm|bpc|bpd|snr)s?($|_|\d)",
    re.IGNORECASE,
)


class LossWatch:
    """Scalars with a graph that user functions and criteria return, and whether a backward pass reaches them."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.candidates: dict[int, dict[str, Any]] = {}
        self.terms = TermWatch(observer)
        self.profiling = False
        self.finished = not observer.options.losses

    def install(self) -> None:
        """Patch the loss functions of torch, and the arithmetic by which losses are added."""
        if not self.finished:
            self.terms.install()
        for name in _FUNCTIONS:
            original = getattr(torch.nn.functional, name, None)
            if original is not None and not self.finished:
                setattr(torch.nn.functional, name, self._watched(original, name))

    def _watched(self, original: Any, name: str) -> Any:
        def function(*args: Any, **kwargs: Any) -> Any:
            value = original(*args, **kwargs)
            if self.o.asleep or (self.finished and torch.is_grad_enabled()):
                return value
            if torch.is_grad_enabled():
                self.result(value, name, 2)
            elif value.dim() == 0:
                with self.o.quiet():
                    self.o.note_value(self.o.trace.site(2), float(value))
            return value

        function.__name__ = name
        return function

    def start(self) -> None:
        """A training forward pass begins: functions of the user's files are followed from here."""
        if not self.finished and not self.profiling and sys.getprofile() is None:
            self.profiling = True
            sys.setprofile(self._returned)

    def _returned(self, frame: Any, event: str, value: Any) -> None:
        if event != "return" or value is None or not isinstance(value, (torch.Tensor, tuple, dict, list, float)):
            return
        code = frame.f_code
        if isinstance(value, float):
            if _RATE.search(code.co_name) and code.co_filename.startswith(self.o.trace.root):
                site = f"{code.co_filename[len(self.o.trace.root) :]}:{code.co_firstlineno}"
                self.o.trace.write("rate", name=code.co_name, value=value, site=site)
            return
        if not code.co_filename.startswith(self.o.trace.root) or self.o.asleep or not torch.is_grad_enabled():
            return
        owner = frame.f_locals.get("self")
        name = type(owner).__name__ if code.co_name == "forward" and owner is not None else code.co_name
        self.result(value, name, 2, frame.f_back)

    def result(self, value: Any, name: str, depth: int, caller: Any = None) -> None:
        """Remember the scalars in what a loss returned.

        Args:
            value: What it returned.
            name: The function or class that returned it.
            depth: How far up the stack the call is.
            caller: The frame of the call, where it is known.
        """
        if self.finished:
            return
        if isinstance(value, dict):
            # What is returned by a name of its own is judged by it: `metric_mae` is there to be watched.
            value = {key: part for key, part in value.items() if not _METRIC.search(str(key))}
        for tensor in tensors_in(value):
            marks = tags(tensor.grad_fn)
            if tensor.dim() or "dlcoder_loss" in marks:
                continue
            site, target = self._place(caller, depth + 1)
            self.terms.candidate(tensor, name, target, site)
            if tensor.grad_fn is None:
                continue
            if site and not _METRIC.search(name) and not _METRIC.search(target):
                marks["dlcoder_loss"] = len(self.candidates)
                self.candidates[len(self.candidates)] = {"name": name, "site": site, "target": target, "reached": False}

    def _place(self, caller: Any, depth: int) -> tuple[str, str]:
        frame = caller
        if frame is None or not frame.f_code.co_filename.startswith(self.o.trace.root):
            frame = next(iter(self.o.trace.user_frames(depth + 1)), None)
        if frame is None:
            return "", ""
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        match = re.match(r"\s*([\w.\[\]\"', ]+?)\s*[-+*]?=[^=]", line)
        site = f"{frame.f_code.co_filename[len(self.o.trace.root) :]}:{frame.f_lineno}"
        return site, match.group(1).split(".")[-1] if match else ""

    def reached(self, root: torch.Tensor) -> None:
        """A backward pass begins at `root`: mark every scalar in its graph."""
        if self.finished or not self.candidates or root.grad_fn is None:
            return
        todo: list[Any] = [root.grad_fn]
        seen = {root.grad_fn}
        while todo and len(seen) < MAX_NODES:
            node = todo.pop()
            key = tags(node).get("dlcoder_loss")
            if key is not None:
                self.candidates[key]["reached"] = True
            for follower, _ in node.next_functions:
                if follower is not None and follower not in seen:
                    seen.add(follower)
                    todo.append(follower)

    def stepped(self) -> None:
        """An optimizer step is over: after the second one the verdict is final."""
        if not self.finished and self.o.steps >= WINDOWS:
            self.report()

    def report(self) -> None:
        """Write what was found and stop following."""
        if self.finished:
            return
        self.finished = True
        if self.profiling:
            sys.setprofile(None)
        self.terms.remove()
        self.o.trace.write("losses", found=[*self.candidates.values(), *self.terms.lost()])


def scalar_factors(root: torch.Tensor) -> list[float]:
    """The constant factors by which a loss was scaled last: `(a + b) / 4` gives [0.25], `a / 4 + b` gives [0.25, 1].

    The factor of a gradient scaler is left out, because the watched scaler marks the node that it made.
    """
    found: list[float] = []
    _peel(root.grad_fn, 1.0, found, 0)
    return found


def _peel(node: Any, factor: float, found: list[float], depth: int) -> None:
    name = node.name() if node is not None else ""
    if depth > 8 or len(found) > 8 or not name:
        found.append(factor)
        return
    if name == "AddBackward0" and all(follower is not None for follower, _ in node.next_functions):
        for follower, _ in node.next_functions:
            _peel(follower, factor, found, depth + 1)
        return
    if name in ("ToCopyBackward0", "CloneBackward0", "AliasBackward0", "ViewBackward0", "SqueezeBackward0"):
        _peel(node.next_functions[0][0], factor, found, depth + 1)
        return
    constant = _constant(node, name)
    if constant is None:
        found.append(factor)
    elif "dlcoder_scaled" in tags(node):
        _peel(_first(node), factor, found, depth + 1)
    else:
        _peel(_first(node), factor * constant, found, depth + 1)


def _first(node: Any) -> Any:
    return next((follower for follower, _ in node.next_functions if follower is not None), None)


def _constant(node: Any, name: str) -> float | None:
    """What a division or multiplication by a constant scalar multiplies by; `None` for anything else."""
    if name not in ("DivBackward0", "MulBackward0"):
        return None
    if sum(follower is not None for follower, _ in node.next_functions) != 1:
        return None
    try:
        other = node._saved_other if node._saved_other is not None else node._saved_self
        value = float(other)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return None
    if value == 0:
        return None
    return 1.0 / value if name == "DivBackward0" else value
