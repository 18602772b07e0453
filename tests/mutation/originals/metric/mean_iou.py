"""Mean intersection over union of a whole dataset."""

import torch
from torch import Tensor


class MeanIoU:
    """IoU per class from counts over all pixels, averaged over the classes that occur."""

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.intersection = torch.zeros(self.num_classes, dtype=torch.int64)
        self.union = torch.zeros(self.num_classes, dtype=torch.int64)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count logits (B, C, H, W) against a target (B, H, W)."""
        predicted = logits.argmax(dim=1)
        valid = target != self.ignore_index
        for label in range(self.num_classes):
            mine, truth = (predicted == label) & valid, (target == label) & valid
            self.intersection[label] += (mine & truth).sum()
            self.union[label] += (mine | truth).sum()

    def merge(self, other: "MeanIoU") -> None:
        """Add another's counts."""
        self.intersection += other.intersection
        self.union += other.union

    def compute(self) -> Tensor:
        """The mean IoU as a float64 scalar, nan if nothing was seen."""
        seen = self.union > 0
        return (self.intersection[seen].double() / self.union[seen]).mean()
