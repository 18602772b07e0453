"""Tests of the settings."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from dlcoder.templates.components.utils.settings import (
    SettingsError,
    from_mapping,
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


def test_what_is_given_wins_over_defaults() -> None:
    tree = {"seed": 1, "inner": {"lr": 1, "names": ["a", "b"], "limit": 3}}
    assert from_mapping(Outer, tree) == Outer(
        seed=1, inner=Inner(lr=1, names=("a", "b"), limit=3)
    )


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"sed": 1}, "did you mean seed"),
        ({"seed": 1, "inner": {"rl": 1}}, r"inner\.lr"),
        ({"seed": 1, "faster_than_light": 1}, "known"),
        ({"fast": True}, "Missing settings: seed"),
        ({"seed": "one"}, "seed must be int"),
        ({"seed": True}, "seed must be int"),
        ({"seed": 1.5}, "seed must be int"),
        ({"seed": 1, "fast": 1}, "fast must be bool"),
        ({"seed": 1, "inner": {"lr": "high"}}, r"inner\.lr must be float"),
        ({"seed": 1, "inner": {"depth": 34}}, r"inner\.depth must be one of"),
        ({"seed": 1, "inner": {"names": "abc"}}, r"inner\.names must be a list"),
        ({"seed": 1, "inner": 3}, "inner must hold settings"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tree: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        from_mapping(Outer, tree)


def test_settings_survive_the_way_to_plain_values_and_back() -> None:
    settings = Outer(seed=2, inner=Inner(names=("a",)))
    assert from_mapping(Outer, to_mapping(settings)) == settings
