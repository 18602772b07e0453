"""Tests of the accuracy of nearest neighbors."""

import torch

from dlcoder.templates.components.metrics.knn_accuracy import (
    KNNAccuracy,
    knn_accuracy,
    knn_predict,
)

TRAIN = torch.tensor([[1.0, 0.0], [0.9, 0.2], [0.0, 1.0], [0.1, 0.8], [1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1, 1, 1])


def test_the_nearest_vote_whatever_their_length() -> None:
    features = torch.tensor([[5.0, 0.5], [0.0, 0.1]])
    predicted = knn_predict(features, TRAIN, LABELS, num_classes=2, k=2)
    assert predicted.tolist() == [0, 1]


def test_a_nearer_neighbor_counts_more_than_two_far_ones() -> None:
    near_zero = torch.tensor([[1.0, 0.1]])
    for k in (1, 5):
        predicted = knn_predict(near_zero, TRAIN, LABELS, num_classes=2, k=k)
        assert predicted.tolist() == [0]


def test_chunks_and_uneven_batches_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(11, 2, generator=generator)
    target = torch.randint(2, (11,), generator=generator)
    whole, parts = (KNNAccuracy(TRAIN, LABELS, 2, k=3) for _ in "12")
    whole.update(features, target)
    for part in zip(features.split(4), target.split(4), strict=True):
        parts.update(*part)
    assert torch.equal(whole.counts, parts.counts)
    one = knn_predict(features, TRAIN, LABELS, num_classes=2, k=3)
    many = knn_predict(features, TRAIN, LABELS, num_classes=2, k=3, chunk=2)
    assert torch.equal(one, many)
    assert knn_accuracy(whole.counts) == float((one == target).double().mean())
