"""Tests of the masked autoencoder."""

import torch

from dlcoder.templates.components.models.mae import MAE, fixed_positions

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def tiny() -> MAE:
    torch.manual_seed(0)
    return MAE(
        image_size=16,
        patch_size=4,
        width=16,
        layers=1,
        heads=2,
        decoder_width=8,
        decoder_layers=1,
        decoder_heads=2,
        mask_ratio=0.75,
    )


def test_three_quarters_of_the_patches_are_hidden_at_random() -> None:
    model = tiny()
    prediction, masked = model(IMAGES)
    assert prediction.shape == (2, 16, 48)
    assert masked.sum(dim=1).tolist() == [12, 12]
    assert not torch.equal(masked, model(IMAGES)[1])


def test_what_is_hidden_is_not_seen() -> None:
    model, noise = tiny(), torch.rand(2, 16)
    prediction, masked = model(IMAGES, noise)
    pixels = masked.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    hidden = torch.where(pixels, -IMAGES, IMAGES)
    torch.testing.assert_close(model(hidden, noise)[0], prediction)
    assert not torch.allclose(model(-IMAGES, noise)[0], prediction)


def test_every_parameter_learns() -> None:
    model = tiny()
    model(IMAGES)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_it_learns_an_image_by_heart() -> None:
    model, noise = tiny(), torch.rand(2, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    target = torch.randn(2, 1, 48).expand(-1, 16, -1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(IMAGES, noise)[0] - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_every_place_has_a_position_of_its_own() -> None:
    positions = fixed_positions(4, 16)[0]
    assert positions.shape == (16, 16)
    distances = torch.cdist(positions, positions) + torch.eye(16)
    assert distances.min() > 0.1


def test_features_see_the_whole_image() -> None:
    model = tiny()
    features = model.features(IMAGES)
    assert features.shape == (2, 16)
    changed = IMAGES.clone()
    changed[:, :, 12:, 12:] += 1
    assert not torch.allclose(model.features(changed), features)
