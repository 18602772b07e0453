"""Tests of InfoNCE."""

import math

import pytest
import torch

from dlcoder.templates.components.losses.info_nce import InfoNCELoss

GENERATOR = torch.Generator().manual_seed(0)
QUERY = torch.randn(6, 8, generator=GENERATOR)
KEY = torch.randn(6, 8, generator=GENERATOR)


def test_equal_embeddings_cost_the_logarithm_of_the_number_of_keys() -> None:
    same = torch.ones(6, 8)
    assert float(InfoNCELoss()(same, same)) == pytest.approx(math.log(6), abs=1e-5)


def test_both_directions_count_alike() -> None:
    loss = InfoNCELoss(symmetric=True)
    torch.testing.assert_close(loss(QUERY, KEY), loss(KEY, QUERY))


def test_a_learned_scale_takes_the_place_of_the_temperature_and_is_bounded() -> None:
    loss = InfoNCELoss(temperature=0.1)
    scale = torch.tensor(math.log(10.0), requires_grad=True)
    learned = loss(QUERY, KEY, scale)
    torch.testing.assert_close(learned, loss(QUERY, KEY))
    learned.backward()
    assert scale.grad is not None
    assert scale.grad != 0
    highest = loss(QUERY, KEY, torch.tensor(math.log(100.0)))
    torch.testing.assert_close(loss(QUERY, KEY, torch.tensor(50.0)), highest)
