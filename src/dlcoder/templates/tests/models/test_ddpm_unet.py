"""Tests of the denoising U-Net."""

import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.ddpm_unet import DDPMUNet

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def tiny() -> DDPMUNet:
    torch.manual_seed(0)
    return DDPMUNet(width=32, multipliers=(1, 2), depth=1, dropout=0.0)


def test_the_prediction_has_the_shape_of_the_images() -> None:
    assert tiny()(IMAGES, torch.tensor([1, 5])).shape == IMAGES.shape


def test_it_learns_what_a_step_means() -> None:
    model, steps = tiny(), torch.tensor([10, 900])
    images = IMAGES[:1].expand(2, -1, -1, -1)
    target = torch.tensor([0.0, 1.0])[:, None, None, None].expand_as(images)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.mse_loss(model(images, steps), target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1  # 0.25 for a model that does not know the step
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        model = DDPMUNet()
    assert sum(p.numel() for p in model.parameters()) == 35_746_307
