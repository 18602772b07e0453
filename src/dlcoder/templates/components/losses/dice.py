"""Soft Dice loss for segmentation.

    L = mean over images and classes of
        1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth),   p = softmax(logits)

Sums run over the valid pixels of one image and one class. A class that an image lacks
is left out of the mean unless `smooth > 0`, where predicting none of it scores a loss
of 0. Being a ratio of sums, the loss of a batch equals the mean over its images, but
not the mean over crops of an image. Combine it with cross entropy: alone its gradient
is noisy early in training.

Paper: Milletari et al., "V-Net", 2016, https://arxiv.org/abs/1606.04797
"""

import torch
from torch import Tensor, nn


class DiceLoss(nn.Module):
    """Soft Dice over classes, per image.

    Args:
        smooth: Added to numerator and denominator; 0 leaves absent classes out.
        ignore_index: Target value of pixels that take no part.
        include_background: Whether class 0 counts.
    """

    def __init__(
        self,
        *,
        smooth: float = 0.0,
        ignore_index: int = 255,
        include_background: bool = True,
    ) -> None:
        super().__init__()
        self.smooth = smooth
        self.ignore_index = ignore_index
        self.first_class = 0 if include_background else 1

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in [0, 1], in float32 or wider.

        Args:
            logits: Class scores `(B, C, H, W)`.
            target: Class indices `(B, H, W)`, int64.

        Raises:
            RuntimeError: A target is neither a class nor `ignore_index`.
        """
        # Half precision overflows when it sums more than 65,504 pixels.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        valid = (target != self.ignore_index).flatten(1)
        index = target.flatten(1).where(valid, 0).unsqueeze(1)
        probs = logits.softmax(dim=1).flatten(2) * valid.unsqueeze(1)
        hits = probs.gather(1, index) * valid.unsqueeze(1)

        zeros = probs.new_zeros(probs.shape[:2])
        intersection = zeros.scatter_add(1, index.squeeze(1), hits.squeeze(1))
        truth = zeros.scatter_add(1, index.squeeze(1), valid.to(probs.dtype))
        total = probs.sum(dim=2) + truth

        scored = (
            (truth > 0)
            if self.smooth == 0
            else valid.any(dim=1, keepdim=True).expand_as(truth)
        )
        loss = 1 - (2 * intersection + self.smooth) / (total + self.smooth).clamp_min(
            torch.finfo(total.dtype).eps
        )
        loss, scored = loss[:, self.first_class :], scored[:, self.first_class :]
        return (loss * scored).sum() / scored.sum().clamp_min(1)
