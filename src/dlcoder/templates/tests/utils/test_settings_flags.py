"""Tests of settings as flags."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from dlcoder.templates.components.utils.settings_flags import FlagParser, load_settings


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


def load(tmp_path: Path, text: str, *arguments: str) -> Outer:
    path = tmp_path / "settings.json"
    path.write_text(text)
    flags = FlagParser(Outer, description="Test.").parse_args(arguments)
    return load_settings(Outer, path, flags)


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    text = '{"seed": 1, "fast": true, "inner": {"lr": 1, "depth": 50}}'
    flags = "--inner.lr 0.5 --inner.names a b --inner.limit 3 --no-fast"
    inner = Inner(lr=0.5, depth=50, names=("a", "b"), limit=3)
    assert load(tmp_path, text, *flags.split()) == Outer(seed=1, inner=inner)
    assert load(tmp_path, text).fast


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--inner.depht=18", "did you mean --inner.depth?"),
        ("--inner.dep=18", "did you mean --inner.depth?"),
        ("--no-fat", "did you mean --fast?"),
        ("--inner.depth=34", "invalid choice"),
        ("--seed=1.5", "invalid int value"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, message: str
) -> None:
    with pytest.raises(SystemExit):
        load(tmp_path, "{}", flag)
    assert message in capsys.readouterr().err


def test_help_says_what_a_setting_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        FlagParser(Outer, description="Test.").parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--inner.lr FLOAT Peak learning rate, 100% of it. Default: 0.1." in text
