"""Tests of scaling."""

import torch

from dlcoder.templates.components.datasets.resize import resize


def test_labels_are_never_blended() -> None:
    labels = torch.tensor([[0, 255], [7, 0]])
    for size in (1, 3, 5):
        assert set(resize(labels, size, size, labels=True).unique().tolist()) <= {
            0,
            7,
            255,
        }
