"""Tests of the contrastive objective."""

import math

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.contrastive import Contrastive


def test_views_that_find_each_other_have_a_low_loss() -> None:
    views = torch.eye(4)
    objective = Contrastive(temperature=0.1)
    assert objective.count((views, views)) == 4
    found = objective(nn.Identity(), (views, views))["loss_contrastive"] / 4
    assert float(found) == pytest.approx(math.log1p(6 * math.exp(-10)), abs=1e-5)


def test_views_that_are_all_alike_have_the_loss_of_a_guess() -> None:
    views = torch.ones(4, 2)
    lost = Contrastive()(nn.Identity(), (views, views))["loss_contrastive"] / 4
    assert float(lost) == pytest.approx(math.log(7), rel=1e-3)
