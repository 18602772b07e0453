"""Tests of Barlow Twins."""

import pytest
import torch

from dlcoder.templates.components.losses.barlow_twins import BarlowTwinsLoss

VIEW = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


def test_scale_and_shift_of_a_dimension_do_not_matter() -> None:
    loss = BarlowTwinsLoss()
    torch.testing.assert_close(
        loss(VIEW, 2 * VIEW + 4), loss(VIEW, VIEW), rtol=0, atol=1e-4
    )


def test_a_collapse_costs_one_for_each_dimension() -> None:
    same = torch.ones(64, 4)
    assert float(BarlowTwinsLoss()(same, same)) == pytest.approx(4)


def test_dimensions_that_repeat_each_other_cost_the_weight() -> None:
    repeated = VIEW[:, [0, 0]]
    loss = BarlowTwinsLoss(off_diagonal=0.5)(repeated, repeated)
    assert float(loss) == pytest.approx(2 * 0.5, abs=1e-3)


def test_one_sample_has_no_correlation() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        BarlowTwinsLoss()(VIEW[:1], VIEW[:1])
