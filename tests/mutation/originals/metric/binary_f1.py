"""F1 of binary decisions over a whole dataset."""

from torch import Tensor


class BinaryF1:
    """2 TP / (2 TP + FP + FN)."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.right = self.false = self.missed = 0

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add decisions (N) and truths (N), both 0 or 1."""
        decided, truth = preds.bool(), target.bool()
        self.right += int((decided & truth).sum())
        self.false += int((decided & ~truth).sum())
        self.missed += int((~decided & truth).sum())

    def compute(self) -> float:
        """The score, 0 where nothing is positive."""
        return 2 * self.right / max(2 * self.right + self.false + self.missed, 1)
