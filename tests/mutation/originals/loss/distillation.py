"""Knowledge distillation: the student's softened prediction follows the teacher's."""

import torch.nn.functional as F
from torch import Tensor, nn


class DistillationLoss(nn.Module):
    """T^2 KL(teacher || student), the mean over samples."""

    def __init__(self, temperature: float = 4.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """The loss of two logits (B, C)."""
        student = F.log_softmax(student_logits.float() / self.temperature, dim=1)
        teacher = F.log_softmax(teacher_logits.float() / self.temperature, dim=1)
        return F.kl_div(student, teacher, log_target=True, reduction="batchmean") * self.temperature**2
