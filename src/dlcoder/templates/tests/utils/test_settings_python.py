"""Tests of settings in Python files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from dlcoder.templates.components.utils.settings import SettingsError
from dlcoder.templates.components.utils.settings_python import load_settings


@dataclass(kw_only=True)
class Inner:
    """Some settings."""

    lr: float = 0.1
    """Peak learning rate, 100% of it."""
    depth: Literal[18, 50] = 18
    names: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(kw_only=True)
class Outer:
    """Settings that hold settings."""

    seed: int = 0
    fast: bool = False
    inner: Inner = field(default_factory=Inner)


def load(tmp_path: Path, code: str, *overrides: str) -> Outer:
    path = tmp_path / "settings.py"
    path.write_text(f"from {__name__} import Inner, Outer\n{code}\n")
    return load_settings(Outer, path, overrides)


def test_files_and_overrides_win_over_defaults(tmp_path: Path) -> None:
    code = "settings = Outer(seed=1, inner=Inner(lr=1, names=('a', 'b')))"
    settings = load(tmp_path, code, "inner.depth=50", "fast=True", "inner.lr=inf")
    inner = Inner(lr=float("inf"), depth=50, names=("a", "b"))
    assert settings == Outer(seed=1, fast=True, inner=inner)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("settings = Outer(inner=Inner(depht=18))", "did you mean depth"),
        ("settings = Outer(inner=Inner(depth=34))", "inner.depth must be one of"),
        ("settings = Outer(1)", "positional"),
        ("options = Outer()", "must define `settings`, of type Outer"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, code)


def test_an_unknown_override_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"inner\.depth"):
        load(tmp_path, "settings = Outer()", "inner.depht=18")
