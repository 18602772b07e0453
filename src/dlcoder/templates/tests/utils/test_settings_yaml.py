"""Tests of settings in YAML files."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from dlcoder.templates.components.utils.settings import SettingsError
from dlcoder.templates.components.utils.settings_yaml import (
    load_settings,
    save_settings,
)


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


CHANGED = Outer(
    seed=1, fast=True, inner=Inner(lr=math.inf, depth=50, names=('a "b"\n', "é"))
)


def load(tmp_path: Path, text: str, *overrides: str) -> Outer:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return load_settings(Outer, path, overrides)


def test_files_and_overrides_win_over_defaults(tmp_path: Path) -> None:
    text = "seed: 1\ninner: {lr: 1, names: [a, b]}"
    settings = load(tmp_path, text, "inner.depth=50", "inner.limit=3", "fast=true")
    inner = Inner(lr=1, depth=50, names=("a", "b"), limit=3)
    assert settings == Outer(seed=1, fast=True, inner=inner)


def test_numbers_that_yaml_takes_for_text_are_numbers(tmp_path: Path) -> None:
    assert load(tmp_path, "inner: {lr: 1e-3}").inner.lr == 0.001


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing") == Outer()


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"inner\.depth"):
        load(tmp_path, "inner: {depht: 18}")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_settings(CHANGED, tmp_path / "settings.yaml")
    assert load_settings(Outer, tmp_path / "settings.yaml") == CHANGED
