"""A detector that finds boxes by their centers, with its losses inside as in torchvision."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class OneBoxDetector(nn.Module):
    """Images (B, 3, H, W) to one box and score each; with targets, a dict of losses.

    targets: for each image `boxes` (N, 4) as x1, y1, x2, y2 in pixels and `labels` (N).
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, stride=2, padding=1), nn.ReLU())
        self.box, self.score = nn.Linear(width, 4), nn.Linear(width, 1)

    def forward(self, images: Tensor, targets: list[dict[str, Tensor]] | None = None) -> dict[str, Tensor]:
        """Return losses if there are targets, else boxes and scores."""
        features = self.body(images).mean(dim=(2, 3))
        boxes, scores = self.box(features), self.score(features).squeeze(1)
        if targets is None:
            return {"boxes": boxes, "scores": scores}
        found = torch.stack([torch.tensor(len(target["boxes"]) > 0, device=images.device) for target in targets])
        errors = [(box - target["boxes"]).abs().sum() for box, target in zip(boxes, targets, strict=True)]
        count = sum(len(target["boxes"]) for target in targets)
        score_loss = F.binary_cross_entropy_with_logits(scores, found.to(scores.dtype))
        return {"box": torch.stack(errors).sum() / max(count, 1), "score": score_loss}
