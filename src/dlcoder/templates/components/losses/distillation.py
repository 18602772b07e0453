"""Knowledge distillation: the student matches the teacher's softened distribution.

    L = T^2 * mean over positions of KL( softmax(teacher / T) || softmax(student / T) )

`T^2` keeps the gradient's size when the temperature changes, so that the weight beside
the supervised loss need not. The mean is over positions: images, pixels or tokens. The
teacher gets no gradient.

Paper: Hinton et al., 2015, https://arxiv.org/abs/1503.02531
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DistillationLoss(nn.Module):
    """Kullback-Leibler divergence from teacher to student at a temperature.

    Args:
        temperature: Softens both distributions, above 0.
    """

    def __init__(self, *, temperature: float = 4.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def forward(
        self, student: Tensor, teacher: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Return the scalar loss, at least 0, in float32 or wider.

        Args:
            student: Logits with the classes last, `(..., C)`.
            teacher: Logits of the same shape.
            valid: Which positions count, bool `(...)`; `None` counts all.
        """
        if student.shape != teacher.shape:
            raise ValueError(
                f"shapes differ: {tuple(student.shape)} and {tuple(teacher.shape)}"
            )
        dtype = torch.promote_types(student.dtype, torch.float32)
        student_log = F.log_softmax(student.to(dtype) / self.temperature, dim=-1)
        teacher_log = F.log_softmax(
            teacher.detach().to(dtype) / self.temperature, dim=-1
        )
        divergence = F.kl_div(
            student_log, teacher_log, reduction="none", log_target=True
        ).sum(dim=-1)
        scaled = divergence * self.temperature**2
        if valid is None:
            return scaled.sum() / max(scaled.numel(), 1)
        return scaled.where(valid, 0).sum() / valid.sum().clamp_min(1)
