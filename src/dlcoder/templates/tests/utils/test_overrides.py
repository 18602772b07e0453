"""Tests of settings from the command line."""

from typing import Any

import pytest

from dlcoder.templates.components.utils.overrides import override
from dlcoder.templates.components.utils.settings import SettingsError


def test_assignments_win_over_what_is_there() -> None:
    tree: dict[str, Any] = {"seed": 1}
    override(tree, ["seed=2", "inner.depth=50"], int)
    assert tree == {"seed": 2, "inner": {"depth": 50}}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("seed", "NAME=VALUE"), ("seed.deep=1", "seed in seed.deep holds no settings")],
)
def test_an_assignment_needs_a_name_and_a_value(assignment: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        override({"seed": 1}, [assignment], int)
