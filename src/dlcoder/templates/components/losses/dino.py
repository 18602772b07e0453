"""DINO: self-distillation between views, without labels.

    L = mean over pairs of different views of  H( softmax((teacher - center) / T_t),
        softmax(student / T_s) )

The teacher sees the global views, the student all. Centering and the teacher's lower
temperature together prevent collapse: a loss of ln K (K outputs) is a collapse to
uniform. The center is a moving mean over all ranks that starts as the first batch's,
updated after use, and a buffer: save it with the checkpoint.

Paper: Caron et al., 2021, https://arxiv.org/abs/2104.14294
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


class DINOLoss(nn.Module):
    """Cross entropy between teacher and student views.

    Args:
        out_dim: K, the number of outputs of the head.
        student_temperature: T_s.
        center_momentum: How slowly the center moves, in [0, 1].
    """

    def __init__(
        self,
        out_dim: int,
        *,
        student_temperature: float = 0.1,
        center_momentum: float = 0.9,
    ) -> None:
        super().__init__()
        self.student_temperature = student_temperature
        self.center_momentum = center_momentum
        self.center: Tensor
        self.register_buffer("center", torch.zeros(out_dim))

    def forward(
        self, student: Tensor, teacher: Tensor, teacher_temperature: float = 0.04
    ) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            student: Logits of all views, global ones first, `(V, B, K)`.
            teacher: Logits of the global views in the same order, `(G, B, K)`.
            teacher_temperature: T_t; warm it up from 0.04 to 0.07.

        Raises:
            ValueError: There is no pair of different views, or student and teacher
                differ in samples or outputs.
        """
        views, global_views = len(student), len(teacher)
        if views < 2 or not 1 <= global_views <= views or student.numel() == 0:
            raise ValueError(f"no pairs in {views} views with {global_views} global")
        if student.shape[1:] != teacher.shape[1:]:
            raise ValueError(
                f"shapes do not fit: {tuple(student.shape)} and {tuple(teacher.shape)}"
            )
        dtype = torch.promote_types(student.dtype, torch.float32)
        teacher = teacher.detach().to(dtype)
        target = F.softmax((teacher - self.center) / teacher_temperature, dim=-1)
        log_probs = F.log_softmax(student.to(dtype) / self.student_temperature, dim=-1)

        with torch.autocast(student.device.type, enabled=False):
            # Of all views (V) with all global ones (G), summed over samples.
            cross_entropy = -log_probs.flatten(1) @ target.flatten(1).T
        same_view = cross_entropy.diagonal().sum()
        pairs = global_views * (views - 1) * student.shape[1]
        if self.training:
            self._update_center(teacher)
        return (cross_entropy.sum() - same_view) / pairs

    @torch.no_grad()
    def _update_center(self, teacher: Tensor) -> None:
        mean = teacher.mean(dim=(0, 1))
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(mean)
            mean /= dist.get_world_size()
        # From zeros it would take dozens of batches, in which the student learns to
        # give every image the outputs that are large for all of them.
        weight = torch.where(self.center.any(), 1 - self.center_momentum, 1.0)
        self.center.lerp_(mean.to(self.center.dtype), weight.to(self.center.dtype))
