"""Tests of NT-Xent."""

import math

import pytest
import torch

from dlcoder.templates.components.losses.nt_xent import NTXentLoss

GENERATOR = torch.Generator().manual_seed(0)
FIRST = torch.randn(6, 8, generator=GENERATOR)
SECOND = torch.randn(6, 8, generator=GENERATOR)


def test_equal_embeddings_cost_the_logarithm_of_the_number_of_candidates() -> None:
    same = torch.ones(6, 8)
    assert float(NTXentLoss()(same, same)) == pytest.approx(math.log(11), abs=1e-5)


def test_views_that_agree_cost_less_than_views_that_do_not() -> None:
    assert NTXentLoss()(FIRST, FIRST) < NTXentLoss()(FIRST, SECOND)


def test_neither_length_nor_order_of_embeddings_matters() -> None:
    loss = NTXentLoss()(FIRST, SECOND)
    torch.testing.assert_close(NTXentLoss()(3 * FIRST, 0.1 * SECOND), loss)
    torch.testing.assert_close(NTXentLoss()(SECOND, FIRST), loss)
    order = torch.tensor([5, 3, 0, 1, 2, 4])
    torch.testing.assert_close(NTXentLoss()(FIRST[order], SECOND[order]), loss)


def test_half_precision_stays_close_to_single() -> None:
    half = NTXentLoss()(FIRST.half(), SECOND.half())
    torch.testing.assert_close(half, NTXentLoss()(FIRST, SECOND), rtol=0.02, atol=0.01)
