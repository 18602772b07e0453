"""Masked autoencoder reconstruction: mean squared error on the masked patches.

    L = mean over masked patches and pixels of  (prediction - target)^2

With `normalize` each target patch has mean 0 and variance 1, which sharpens what is
learned. Patches are laid out as (patch row, patch column, channel), the channel last.
Visible patches take no part; no masked patch gives a loss of 0.

Paper: He et al., 2022, https://arxiv.org/abs/2111.06377
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MAEReconstructionLoss(nn.Module):
    """Mean squared error over masked patches.

    Args:
        patch_size: Side of a patch in pixels.
        normalize: Whether to standardize each target patch.
    """

    def __init__(self, *, patch_size: int = 16, normalize: bool = True) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.normalize = normalize

    def forward(self, prediction: Tensor, images: Tensor, masked: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            prediction: Predicted patches `(B, N, patch_size**2 * C)`, rows first.
            images: Images `(B, C, H, W)`, sides divisible by the patch size.
            masked: Whether each patch was hidden, bool or 0/1 `(B, N)`.

        Raises:
            ValueError: A side is not divisible by the patch size, or the shapes do not
                fit, and would broadcast without a word.
        """
        prediction = prediction.to(torch.promote_types(prediction.dtype, torch.float32))
        target = patchify(images.to(prediction.dtype), self.patch_size)
        if prediction.shape != target.shape or masked.shape != target.shape[:2]:
            shapes = [tuple(x.shape) for x in (prediction, target, masked)]
            raise ValueError(f"shapes do not fit: {shapes}")
        if self.normalize:
            variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
            target = (target - mean) * (variance + 1e-6).rsqrt()
        error = F.mse_loss(prediction, target, reduction="none").mean(dim=-1)
        masked = masked.bool()
        return error.where(masked, 0).sum() / masked.sum().clamp_min(1)


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cut images `(B, C, H, W)` into patches `(B, N, patch_size**2 * C)`.

    Raises:
        ValueError: A side is not divisible by the patch size.
    """
    _, _, height, width = images.shape
    if height % patch_size or width % patch_size:
        raise ValueError(f"sides {height}, {width} are not divisible by {patch_size}")
    patches = images.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)
    return patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
