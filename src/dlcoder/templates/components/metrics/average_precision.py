"""Mean average precision of a detector, as COCO defines it.

Detections of a class are matched to boxes in the order of their scores: each takes the
free box of the highest overlap, if that reaches the threshold. Precision, made to fall
with recall, is read at 101 recalls; the mean over recalls, classes and the thresholds
0.50, 0.55, ..., 0.95 is `map`. Of a class, at most 100 detections an image count. A
detection of a crowd region is neither right nor wrong.

Shapes: boxes (N, 4) as x1, y1, x2, y2 in pixels, scores (N,), labels (N,).
Reference: Lin et al., arXiv:1405.0312. Results of all ranks are gathered, not averaged:
give each image to one rank only.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

# numpy's grids are part of the definition: torch's differ from them in the last digit,
# and a recall of exactly 0.57 then falls on the other side.
THRESHOLDS = torch.from_numpy(np.linspace(0.5, 0.95, 10))
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
MAX_DETECTIONS = 100


@dataclass
class _Matches:
    """What is known of one class: every detection, and how many boxes there are."""

    scores: list[Tensor] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)
    ignored: list[Tensor] = field(default_factory=list)
    boxes: int = 0


class AveragePrecision:
    """Collects the matches of images."""

    def __init__(self) -> None:
        self.classes: dict[int, _Matches] = defaultdict(_Matches)

    def update(
        self,
        boxes: Tensor,
        scores: Tensor,
        labels: Tensor,
        true_boxes: Tensor,
        true_labels: Tensor,
        crowd: Tensor | None = None,
    ) -> None:
        """Match the detections of one image.

        Args:
            boxes: Detected boxes (N, 4).
            scores: Their scores (N,).
            labels: Their classes (N,).
            true_boxes: Boxes that are there (M, 4).
            true_labels: Their classes (M,).
            crowd: Which of them are regions of many objects (M,), bool.
        """
        if crowd is None:
            crowd = torch.zeros(len(true_boxes), dtype=torch.bool)
        boxes, true_boxes = boxes.double().cpu(), true_boxes.double().cpu()
        labels, true_labels, crowd = labels.cpu(), true_labels.cpu(), crowd.cpu().bool()
        for label in torch.cat([labels, true_labels]).unique().tolist():
            found, true = labels == label, true_labels == label
            order = scores.cpu()[found].argsort(descending=True, stable=True)
            order = order[:MAX_DETECTIONS]
            self._add(
                self.classes[label],
                boxes[found][order],
                scores.cpu()[found][order],
                true_boxes[true],
                crowd[true],
            )

    def merge(self, other: "AveragePrecision") -> None:
        """Add what another process collected from its own images."""
        for label, matches in other.classes.items():
            mine = self.classes[label]
            mine.scores += matches.scores
            mine.right += matches.right
            mine.ignored += matches.ignored
            mine.boxes += matches.boxes

    def compute(self) -> dict[str, float]:
        """Return `map`, `map_50` and `map_75`; NaN where there are no boxes at all."""
        curves = [_precision(m) for m in self.classes.values() if m.boxes]
        if not curves:
            return dict.fromkeys(("map", "map_50", "map_75"), float("nan"))
        precision = torch.stack(curves).mean(dim=0)  # (thresholds,)
        return {
            "map": float(precision.mean()),
            "map_50": float(precision[0]),
            "map_75": float(precision[5]),
        }

    def _add(
        self, to: _Matches, boxes: Tensor, scores: Tensor, true: Tensor, crowd: Tensor
    ) -> None:
        # Crowds come last, so that a plain box is preferred.
        order = crowd.int().argsort(stable=True)
        true, crowd = true[order], crowd[order]
        overlap = _overlap(boxes, true, crowd)
        right = torch.zeros(len(THRESHOLDS), len(boxes), dtype=torch.bool)
        ignored = torch.zeros_like(right)
        for row, threshold in enumerate(THRESHOLDS.tolist()):
            taken = torch.zeros(len(true), dtype=torch.bool)
            for index in range(len(boxes)):
                best = _best_match(overlap[index], taken, crowd, threshold)
                if best is not None:
                    taken[best] = True
                    ignored[row, index] = crowd[best]
                    right[row, index] = ~crowd[best]
        to.scores.append(scores.double())
        to.right.append(right)
        to.ignored.append(ignored)
        to.boxes += int((~crowd).sum())


def _best_match(
    overlap: Tensor, taken: Tensor, crowd: Tensor, threshold: float
) -> int | None:
    """Return the free box of the highest overlap; a crowd only where no box is left."""
    for candidates in (~taken & ~crowd, crowd):
        eligible = torch.where(candidates, overlap, -1)
        # The last of equals, as the reference implementation takes them.
        if len(eligible) and eligible.max() >= min(threshold, 1 - 1e-10):
            return int((eligible == eligible.max()).nonzero()[-1])
    return None


def _overlap(boxes: Tensor, true: Tensor, crowd: Tensor) -> Tensor:
    """Return IoU (N, M); for a crowd, the share of the detection that it covers."""
    corner = torch.maximum(boxes[:, None, :2], true[None, :, :2])
    opposite = torch.minimum(boxes[:, None, 2:], true[None, :, 2:])
    shared = (opposite - corner).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)[:, None]
    true_area = (true[:, 2:] - true[:, :2]).prod(dim=1)[None]
    union = torch.where(crowd[None], area, area + true_area - shared)
    return shared / union.clamp(min=torch.finfo(torch.float64).tiny)


def _precision(matches: _Matches) -> Tensor:
    """Return the average precision at every threshold, (thresholds,)."""
    order = torch.cat(matches.scores).argsort(descending=True, stable=True)
    right = torch.cat(matches.right, dim=1)[:, order]
    wrong = ~right & ~torch.cat(matches.ignored, dim=1)[:, order]
    true_positives = right.cumsum(dim=1, dtype=torch.float64)
    false_positives = wrong.cumsum(dim=1, dtype=torch.float64)
    recall = true_positives / matches.boxes
    precision = true_positives / (true_positives + false_positives).clamp(min=1)
    # Made to fall: at each recall, the best precision at that recall or beyond.
    precision = precision.flip(1).cummax(dim=1).values.flip(1)
    result = torch.zeros(len(THRESHOLDS), dtype=torch.float64)
    for row in range(len(THRESHOLDS)):
        index = torch.searchsorted(recall[row].contiguous(), RECALLS)
        reached = index < recall.shape[1]
        result[row] = precision[row][index[reached]].sum() / len(RECALLS)
    return result
