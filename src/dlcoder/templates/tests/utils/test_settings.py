"""Tests of the settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from dlcoder.templates.components.utils.settings import (
    SettingsError,
    from_mapping,
    load_settings,
    to_mapping,
)


@dataclass(kw_only=True)
class Inner:
    """Some settings."""

    lr: float = 0.1
    depth: Literal[18, 50] = 18
    names: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(kw_only=True)
class Outer:
    """Settings that hold settings."""

    seed: int
    fast: bool = False
    inner: Inner = field(default_factory=Inner)


def load(tmp_path: Path, text: str, *overrides: str) -> Outer:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return load_settings(Outer, path, overrides)


def test_files_and_overrides_win_over_defaults(tmp_path: Path) -> None:
    text = "seed: 1\ninner: {lr: 1, names: [a, b]}"
    settings = load(tmp_path, text, "inner.depth=50", "inner.limit=3")
    assert settings == Outer(
        seed=1, inner=Inner(lr=1, depth=50, names=("a", "b"), limit=3)
    )


def test_numbers_that_yaml_takes_for_text_are_numbers(tmp_path: Path) -> None:
    assert load(tmp_path, "seed: 1\ninner: {lr: 1e-3}").inner.lr == 0.001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed: 1", "did you mean seed"),
        ("seed: 1\ninner: {rl: 1}", r"inner\.lr"),
        ("seed: 1\nfaster_than_light: 1", "known"),
        ("fast: true", "Missing settings: seed"),
        ("seed: one", "seed must be int"),
        ("seed: true", "seed must be int"),
        ("seed: 1.5", "seed must be int"),
        ("seed: 1\nfast: 1", "fast must be bool"),
        ("seed: 1\ninner: {lr: high}", r"inner\.lr must be float"),
        ("seed: 1\ninner: {depth: 34}", r"inner\.depth must be one of"),
        ("seed: 1\ninner: {names: abc}", r"inner\.names must be a list"),
        ("seed: 1\ninner: 3", "inner must hold settings"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, text)


def test_an_override_needs_a_value(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="NAME=VALUE"):
        load(tmp_path, "seed: 1", "seed")


def test_settings_survive_the_way_to_plain_values_and_back() -> None:
    settings = Outer(seed=2, inner=Inner(names=("a",)))
    assert from_mapping(Outer, to_mapping(settings)) == settings
