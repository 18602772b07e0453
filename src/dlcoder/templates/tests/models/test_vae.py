"""Tests of the variational autoencoder."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.vae import VAE

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def tiny() -> VAE:
    torch.manual_seed(0)
    return VAE(image_size=32, latent_dim=8, width=8)


def test_it_samples_in_training_and_takes_the_mean_in_evaluation() -> None:
    model = tiny()
    assert not torch.equal(model(IMAGES)[0], model(IMAGES)[0])
    reconstruction, mean, log_variance = model.eval()(IMAGES)
    assert reconstruction.shape == IMAGES.shape
    assert mean.shape == log_variance.shape == (2, 8)
    assert torch.equal(reconstruction, model.decode(mean))


def test_it_learns_an_image_by_heart() -> None:
    model = tiny().eval()
    images = 0.5 * IMAGES[:, :, ::8, ::8].repeat_interleave(8, 2).repeat_interleave(
        8, 3
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.mse_loss(model(images)[0], images)
        loss.backward()
        optimizer.step()
    assert loss < 0.3 * images.var()


def test_every_parameter_learns() -> None:
    model = tiny()
    sum(part.square().sum() for part in model(IMAGES)).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        VAE(image_size=40)
