"""What a DINO run minimizes, for one batch: crops of an image get the teacher's answer.

Shapes: global crops of each image (B, 3, S, S) first, then local ones (B, 3, s, s).
"""

from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.teacher import Teacher

GLOBAL_CROPS = 2
"""How many of the crops the teacher sees."""


class SelfDistillation:
    """The objective of self-distillation.

    Args:
        teacher: Follows the model.
    """

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher

    def count(self, batch: Batch) -> int:
        """The number of images, which sums are divided by in the end."""
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the sum over the images: `loss_*` to minimize."""
        student = model(list(batch))
        loss = self.teacher.compare(student, list(batch[:GLOBAL_CROPS]))
        return {"loss_distillation": loss * len(batch[0])}
