"""Tests of the confusion matrix."""

import pytest
import torch

from dlcoder.templates.components.metrics.confusion_matrix import (
    ConfusionMatrix,
    classification_metrics,
)


def one_hot(labels: list[int]) -> torch.Tensor:
    return torch.eye(3)[labels]


def test_rows_are_true_and_columns_predicted_classes() -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(one_hot([1, 1, 0]), torch.tensor([0, 1, 0]))
    assert confusion.counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_uneven_batches_add_up_to_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(23, 3, generator=generator)
    target = torch.randint(3, (23,), generator=generator)
    whole, parts = ConfusionMatrix(3), ConfusionMatrix(3)
    whole.update(logits, target)
    for start in range(0, 23, 5):
        parts.update(logits[start : start + 5], target[start : start + 5])
    assert torch.equal(whole.counts, parts.counts)


def test_metrics_follow_their_definitions() -> None:
    metrics = classification_metrics(torch.tensor([[8, 2, 0], [1, 3, 0], [0, 0, 0]]))
    assert metrics["accuracy"] == pytest.approx(11 / 14)
    # The third class never occurs and is not averaged over.
    assert metrics["macro_precision"] == pytest.approx((8 / 9 + 3 / 5) / 2)
    assert metrics["balanced_accuracy"] == pytest.approx((8 / 10 + 3 / 4) / 2)
    assert metrics["macro_f1"] == pytest.approx((16 / 19 + 6 / 9) / 2)


def test_no_samples_give_zeros() -> None:
    assert set(classification_metrics(torch.zeros(3, 3)).values()) == {0.0}


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_is_an_error(label: int) -> None:
    with pytest.raises(RuntimeError):
        ConfusionMatrix(3).update(one_hot([2]), torch.tensor([label]))


def test_labels_may_be_stored_in_bytes() -> None:
    metric = ConfusionMatrix(100)
    metric.update(torch.eye(100), torch.arange(100, dtype=torch.uint8))
    assert torch.equal(metric.counts, torch.eye(100, dtype=torch.int64))
