"""Tests of the cross entropy."""

import math

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss

LOGITS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes() -> None:
    loss = CrossEntropyLoss(reduction="mean")(torch.zeros(6, 5), TARGET)
    assert float(loss) == pytest.approx(math.log(5), rel=1e-6)


def test_a_sum_is_the_sum_of_single_samples() -> None:
    criterion = CrossEntropyLoss(reduction="sum")
    singles = [criterion(LOGITS[i : i + 1], TARGET[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(criterion(LOGITS, TARGET), torch.stack(singles).sum())


def test_label_smoothing_spreads_mass_over_all_classes() -> None:
    log_p = LOGITS.double().log_softmax(1)
    expected = -(0.9 * log_p[range(6), TARGET] + 0.1 * log_p.mean(1)).sum()
    loss = CrossEntropyLoss(label_smoothing=0.1, reduction="sum")(
        LOGITS.double(), TARGET
    )
    torch.testing.assert_close(loss, expected)


def test_class_weights_weigh_the_mean_as_in_torch() -> None:
    weights = [0.5, 1.0, 2.0, 1.0, 3.0]
    criterion = CrossEntropyLoss(class_weights=weights, reduction="mean")
    expected = F.cross_entropy(LOGITS, TARGET, torch.tensor(weights))
    torch.testing.assert_close(criterion(LOGITS, TARGET), expected)


def test_the_z_loss_pulls_the_denominator_to_one() -> None:
    with_z = CrossEntropyLoss(z_loss=0.1, reduction="mean")(LOGITS, TARGET)
    without = F.cross_entropy(LOGITS, TARGET)
    expected = 0.1 * LOGITS.logsumexp(dim=1).square().mean()
    torch.testing.assert_close(with_z - without, expected)


def test_ignored_targets_have_no_part_in_the_mean() -> None:
    criterion = CrossEntropyLoss(ignore_index=4, reduction="mean")
    kept = TARGET != 4
    expected = F.cross_entropy(LOGITS[kept], TARGET[kept])
    torch.testing.assert_close(criterion(LOGITS, TARGET), expected)


def test_a_batch_of_ignored_targets_costs_nothing_and_pulls_at_nothing() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = CrossEntropyLoss()(logits, torch.full((6,), -100))
    loss.backward()
    assert not loss.any()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_half_precision_is_computed_in_single() -> None:
    loss = CrossEntropyLoss()(LOGITS.bfloat16(), TARGET)
    assert loss.dtype == torch.float32


def test_a_label_out_of_range_is_an_error() -> None:
    with pytest.raises(IndexError):
        CrossEntropyLoss()(LOGITS, torch.full((6,), 5))
