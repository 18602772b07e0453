"""Imports what every run would import by itself, once, in the process that forks them. Nothing is computed."""

from __future__ import annotations

import ast
import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path

ALWAYS = (
    "torch",
    "torch._dynamo",
    "torch.distributed",
    "torch.nn.parallel",
    "torch.distributed.run",
    "numpy",
    "click",
)
COSTLY = {
    "accelerate",
    "hydra",
    "lightning",
    "matplotlib",
    "monai",
    "omegaconf",
    "pandas",
    "pytorch_lightning",
    "scipy",
    "sklearn",
    "timm",
    "torchmetrics",
    "torchvision",
    "transformers",
}
"""Libraries whose import takes as long as a small run: it is shared where the project imports them."""


def preload(project: Path) -> None:
    """Import torch, and the costly libraries that a project imports at the top of its files."""
    for module in ALWAYS:
        _try(module, [])
    for path in sorted(project.rglob("*.py"))[:200]:
        for module, names in _imports(path):
            _try(module, names)


def _imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, OSError):
        return
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names if alias.name.split(".")[0] in COSTLY)
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in COSTLY:
            yield str(node.module), [alias.name for alias in node.names]


def _try(module: str, names: list[str]) -> None:
    """Import a module, and the names that a lazy one only then loads; an interpreter without it runs without it."""
    with contextlib.suppress(Exception):
        loaded = importlib.import_module(module)
        for name in names:
            getattr(loaded, name, None)
