"""Tests of the objective of a variational autoencoder."""

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.variational import Variational


class Gray(nn.Module):
    """Reconstructs nothing from a standard normal posterior."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        latent = torch.zeros(len(images), 4)
        return torch.zeros_like(images), latent, latent


def test_sums_are_those_of_the_images() -> None:
    images = torch.full((3, 3, 8, 8), 2.0)
    objective = Variational()
    assert objective.count((images, torch.zeros(3))) == 3
    sums = objective(Gray(), (images, torch.zeros(3)))
    # Half the squared error for each pixel value, and no divergence.
    assert float(sums["loss_negative_elbo"]) == pytest.approx(3 * 2.0)
    assert float(sums["metric_reconstruction_error"]) == pytest.approx(3 * 4.0)
