"""FCOS: an anchor-free detector on a feature pyramid.

    C3, C4, C5 = backbone(images);   P3 ... P7 = pyramid(C3, C4, C5)
    every location of P3 ... P7 -> class logits, distances to a box's sides, centerness

A location is a point of the image: the center of a cell of 8, 16, 32, 64 or 128 pixels.

Shapes: images (B, 3, H, W), class logits (B, L, C), distances to the left, top, right
and bottom side in pixels (B, L, 4), centerness logits (B, L), for L locations.
Parameters at C = 91 and depth 50: 32,322,720.
References: Tian et al., arXiv:1904.01355; Lin et al. (the pyramid), arXiv:1612.03144.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcoder.templates.components.models.resnet import Depth, ResNet

STRIDES = (8, 16, 32, 64, 128)
"""Pixels between neighboring locations of P3 ... P7."""

Outputs = tuple[Tensor, Tensor, Tensor]
"""Class logits (B, L, C), distances (B, L, 4) and centerness logits (B, L)."""

Detections = tuple[Tensor, Tensor, Tensor]
"""Boxes (N, 4) as x1, y1, x2, y2 in pixels, scores (N,) and labels (N,) of an image."""


class FCOS(nn.Module):
    """FCOS over a residual network.

    Args:
        num_classes: The number of classes, C, without a background.
        depth: Layers of the backbone: 18, 34, 50 or 101.
        width: Channels of the backbone's first stage.
        channels: Channels of the pyramid and the heads, a multiple of 8.
        head_depth: Convolutions of each head before its outputs.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: Depth = 50,
        width: int = 64,
        channels: int = 256,
        head_depth: int = 4,
    ) -> None:
        super().__init__()
        backbone = ResNet(1, depth=depth, width=width)
        self.stem, self.stages = backbone.stem, backbone.stages
        self.pyramid = FeaturePyramid(backbone.classifier.in_features, channels)
        self.class_head = _head(channels, head_depth)
        self.box_head = _head(channels, head_depth)
        self.class_logits = nn.Conv2d(channels, num_classes, 3, padding=1)
        self.distances = nn.Conv2d(channels, 4, 3, padding=1)
        self.centerness = nn.Conv2d(channels, 1, 3, padding=1)
        self._initialize()

    def forward(self, images: Tensor) -> Outputs:
        """Return class logits, distances and centerness for images (B, 3, H, W)."""
        x = self.stem(images)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        outputs = []
        for stride, level in zip(STRIDES, self.pyramid(*levels[1:]), strict=True):
            box_features = self.box_head(level)
            # In units of the stride, so that one head serves all levels.
            distances = F.softplus(self.distances(box_features).float()) * stride
            logits = self.class_logits(self.class_head(level))
            outputs.append((logits, distances, self.centerness(box_features)))
        logits, distances, centerness = (
            torch.cat([part.flatten(2) for part in level], dim=2).transpose(1, 2)
            for level in zip(*outputs, strict=True)
        )
        return logits, distances, centerness.squeeze(2)

    def _initialize(self) -> None:
        for part in (
            self.class_head,
            self.box_head,
            self.class_logits,
            self.distances,
            self.centerness,
        ):
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.normal_(module.weight, std=0.01)
        # Nearly all locations are background: else it drowns the first steps.
        bias = torch.full((self.class_logits.out_channels,), -math.log(99))
        self.class_logits.bias = nn.Parameter(bias)


class FeaturePyramid(nn.Module):
    """P3 ... P7, each with the detail of its level and the context of those above."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Conv2d(channels_in // shrink, channels, 1) for shrink in (4, 2, 1)
        )
        self.smooth = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3)
        )
        self.p6 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, c3: Tensor, c4: Tensor, c5: Tensor) -> list[Tensor]:
        """Return the five levels, the finest first."""
        p5 = self.lateral[2](c5)
        p4 = self.lateral[1](c4) + F.interpolate(p5, size=c4.shape[-2:])
        p3 = self.lateral[0](c3) + F.interpolate(p4, size=c3.shape[-2:])
        levels = [s(p) for s, p in zip(self.smooth, (p3, p4, p5), strict=True)]
        p6 = self.p6(levels[-1])
        return [*levels, p6, self.p7(F.relu(p6))]


def locations(
    height: int, width: int, device: torch.device | str | None = None
) -> Tensor:
    """Return x, y and stride in pixels of every location, (L, 3)."""
    levels = []
    for stride in STRIDES:
        y = (torch.arange(math.ceil(height / stride), device=device) + 0.5) * stride
        x = (torch.arange(math.ceil(width / stride), device=device) + 0.5) * stride
        ys, xs = torch.meshgrid(y, x, indexing="ij")
        level = torch.stack([xs, ys, torch.full_like(xs, stride)], dim=-1)
        levels.append(level.flatten(0, 1))
    return torch.cat(levels)


@torch.no_grad()
def decode(
    outputs: Outputs,
    height: int,
    width: int,
    *,
    min_score: float = 0.05,
    max_overlap: float = 0.6,
    candidates: int = 1000,
    max_detections: int = 100,
) -> list[Detections]:
    """Turn outputs into detections, the best of each image first.

    Args:
        outputs: What the model returned.
        height: Height of the images in pixels.
        width: Their width.
        min_score: Detections below it are dropped.
        max_overlap: Of two boxes of a class with a higher IoU, the worse is dropped.
        candidates: The most that overlaps are looked at of.
        max_detections: The most that are returned of an image.
    """
    logits, distances, centerness = (part.float() for part in outputs)
    scores = (logits.sigmoid() * centerness.sigmoid().unsqueeze(2)).sqrt()
    point = locations(height, width, logits.device)
    corners = (point[:, :2] - distances[..., :2], point[:, :2] + distances[..., 2:])
    limit = point.new_tensor([width, height]).repeat(2)
    boxes = torch.cat(corners, dim=2).clamp(min=0).minimum(limit)
    results = []
    for image_scores, image_boxes in zip(scores, boxes, strict=True):
        count = min(candidates, image_scores.numel())
        best, index = image_scores.flatten().topk(count)
        index = index[best >= min_score]
        best, label = best[: len(index)], index % image_scores.shape[1]
        box = image_boxes[index // image_scores.shape[1]]
        # Moved apart by class, so that classes do not suppress each other.
        apart = box + (label * (height + width)).unsqueeze(1)
        kept = non_maximum_suppression(apart, max_overlap)[:max_detections]
        results.append((box[kept], best[kept], label[kept]))
    return results


def non_maximum_suppression(boxes: Tensor, max_overlap: float) -> Tensor:
    """Return the indices of the boxes that no better one overlaps too much.

    Args:
        boxes: x1, y1, x2, y2 `(N, 4)`, the best first.
        max_overlap: The highest IoU that may stay.
    """
    corner = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    opposite = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (opposite - corner).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    overlap = shared / (area[:, None] + area[None] - shared).clamp(min=1e-9)
    beats = (overlap > max_overlap).triu(diagonal=1)
    # A box stays if no box that stays beats it: the first is settled in the first
    # round, and at least one more in each that follows.
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    while True:
        settled = ~(beats & kept.unsqueeze(1)).any(dim=0)
        if settled.equal(kept):
            return kept.nonzero().squeeze(1)
        kept = settled


def _head(channels: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, channels, 3, padding=1),
            # Batches of large images are too small for batch norm.
            nn.GroupNorm(channels // 8, channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
