"""Tests of the evaluation mode."""

import pytest
from torch import nn

from dlcoder.templates.components.utils.evaluation_mode import evaluation_mode


def test_each_part_gets_its_own_mode_back_even_after_an_error() -> None:
    norm = nn.BatchNorm1d(2)
    frozen = nn.Sequential(norm).eval()
    model = nn.Sequential(nn.Dropout(), frozen)
    with pytest.raises(KeyError), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert model.training
    assert model[0].training
    assert not frozen.training
    assert not norm.training
