"""Tests of settings in JSON files."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from dlcoder.templates.components.utils.settings import SettingsError
from dlcoder.templates.components.utils.settings_json import (
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


def test_what_is_saved_is_loaded_and_is_json(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    save_settings(CHANGED, path)
    assert load_settings(Outer, path) == CHANGED
    assert "Infinity" not in path.read_text()


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"inner": {"depht": 18}}')
    with pytest.raises(SettingsError, match=r"inner\.depth"):
        load_settings(Outer, path)
