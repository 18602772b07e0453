"""Tests of the evaluation of features."""

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.evaluate_features import evaluate_features
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


class Given(nn.Module):
    """The images are the features."""

    def features(self, images: Tensor) -> Tensor:
        return images


def test_features_that_hold_the_class_are_found_out() -> None:
    labels = torch.arange(40) % 4
    clear = nn.functional.one_hot(labels, 4) + 0.01 * torch.randn(40, 4)
    batches = [(clear[:25], labels[:25]), (clear[25:], labels[25:])]
    evaluation = evaluate_features(Given(), batches, world=ALONE)
    assert evaluation.metrics["metric_knn_accuracy"] == 1.0
    assert torch.equal(evaluation.labels, labels)
    assert evaluation.features.shape == (40, 4)


def test_a_sample_is_not_its_own_neighbor() -> None:
    """Each vector occurs twice, under two labels: only itself would agree."""
    features = torch.eye(4).repeat(2, 1)
    labels = torch.arange(8)
    evaluation = evaluate_features(
        Given(), [(features, labels)], world=ALONE, neighbors=1
    )
    assert evaluation.metrics["metric_knn_accuracy"] == 0.0


def test_shares_of_ranks_come_back_in_the_order_of_the_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three ranks have samples 0 and 3, 1, and 2; their batches are of one."""
    features, labels = torch.eye(4), torch.arange(4)

    def gather_from_three(mine: list[Tensor]) -> list[list[Tensor]]:
        everything = features if mine[0].ndim == 2 else labels
        return [list(everything[rank::3].split(1)) for rank in range(3)]

    monkeypatch.setattr(f"{evaluate_features.__module__}.gather", gather_from_three)
    batches = [(features[:1], labels[:1]), (features[3:], labels[3:])]
    evaluation = evaluate_features(Given(), batches, world=ALONE)
    assert torch.equal(evaluation.features, features)
    assert torch.equal(evaluation.labels, labels)
