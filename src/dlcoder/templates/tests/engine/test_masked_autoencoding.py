"""Tests of the objective of masked autoencoding."""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.masked_autoencoding import MaskedAutoencoding
from dlcoder.templates.components.losses.mae_reconstruction import patchify


class Knowing(nn.Module):
    """Returns each patch, standardized or not at all, and hides the first of four."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        patches = patchify(images, 4)
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        hidden = torch.tensor([True, False, False, False]).expand(len(images), -1)
        return self.scale * (patches - mean) / variance.sqrt(), hidden


def test_patches_that_are_filled_in_rightly_have_no_loss() -> None:
    images = torch.randn(2, 3, 8, 8)
    objective = MaskedAutoencoding()
    assert objective.count((images, torch.zeros(2))) == 2
    right = objective(Knowing(1.0), (images,))["loss_reconstruction"] / 2
    blank = objective(Knowing(0.0), (images,))["loss_reconstruction"] / 2
    assert float(right) < 1e-6
    assert 0.9 < float(blank) < 1.1
