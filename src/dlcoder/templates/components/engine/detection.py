"""What a detection run minimizes, for one batch.

Shapes: images (B, 3, H, W), boxes (B, N, 4) as x1, y1, x2, y2 in pixels, labels (B, N)
with -1 for no box.
"""

from torch import Tensor, nn

from dlcoder.templates.components.datasets.pad_boxes import without_padding
from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.fcos import FCOSLoss, assign
from dlcoder.templates.components.models.fcos import Outputs, locations


class Detection:
    """The objective of detection with FCOS."""

    def __init__(self) -> None:
        self.loss = FCOSLoss(reduction="sum")

    def count(self, batch: Batch) -> int:
        """The number of locations that have a box, which sums are divided by."""
        images, boxes, labels = batch
        height, width = images.shape[-2:]
        where = locations(height, width, images.device)
        classes, _ = assign(where, *without_padding(boxes, labels))
        return int((classes >= 0).sum())

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the locations: `loss_*` to minimize."""
        return self.losses(model(batch[0]), batch)

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the sums for outputs of the model."""
        images, boxes, labels = batch
        height, width = images.shape[-2:]
        where = locations(height, width, images.device)
        terms = self.loss.terms(*outputs, where, *without_padding(boxes, labels))
        return {f"loss_{name}": value for name, value in terms.items()}
