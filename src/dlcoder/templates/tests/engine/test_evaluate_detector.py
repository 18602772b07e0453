"""Tests of the evaluation of a detector."""

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.evaluate_detector import evaluate_detector
from dlcoder.templates.components.models.fcos import locations
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
BOX = torch.tensor([8.0, 8.0, 40.0, 40.0])


class Knowing(nn.Module):
    """Says of every location near the middle of BOX what is there."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        point = locations(*images.shape[-2:])
        distances = torch.cat([point[:, :2] - BOX[:2], BOX[2:] - point[:, :2]], dim=1)
        near = ((point[:, :2] - 24).abs() < 8).all(dim=1) & (point[:, 2] == 8)
        logits = torch.where(near, 5.0, -9.0)[:, None].expand(-1, 2).clone()
        logits[:, 0] = -9.0
        batch = len(images)
        return (
            logits.expand(batch, -1, -1),
            distances.clamp(min=0).expand(batch, -1, -1),
            torch.full((batch, len(point)), 5.0),
        )


def test_right_boxes_score_one_and_wrong_classes_none() -> None:
    images = torch.zeros(2, 3, 64, 64)
    boxes = BOX.expand(2, 1, 4)
    scores = [
        evaluate_detector(
            Knowing(),
            [(images, boxes, torch.full((2, 1), label))],
            world=ALONE,
        ).metrics["metric_map"]
        for label in (1, 0)
    ]
    assert scores == pytest.approx([1.0, 0.0], abs=1e-6)
