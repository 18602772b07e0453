"""Tests of MixUp and CutMix."""

import torch
from torch import Tensor

from dlcoder.templates.components.datasets.mixup import MixUp


def batch(size: int = 6) -> tuple[Tensor, Tensor]:
    """Images whose every pixel is their label."""
    labels = torch.arange(size) % 3
    return labels.float().reshape(-1, 1, 1, 1).expand(-1, 3, 10, 8).clone(), labels


def mix(options: MixUp, seed: int, size: int = 6) -> tuple[Tensor, Tensor]:
    return options(*batch(size), torch.Generator().manual_seed(seed))


def test_labels_say_what_the_images_hold() -> None:
    for seed in range(30):
        for cutmix in (0.0, 1.0):
            images, labels = mix(MixUp(3, alpha=1.0, cutmix=cutmix), seed)
            assert images.shape == (6, 3, 10, 8)
            torch.testing.assert_close(labels.sum(dim=1), torch.ones(6))
            # The mean pixel is the mean label.
            expected = labels @ torch.arange(3.0)
            torch.testing.assert_close(images.mean(dim=(1, 2, 3)), expected)


def test_mixup_blends_and_cutmix_pastes() -> None:
    blended, _ = mix(MixUp(3, alpha=1.0, cutmix=0.0), 0, size=3)
    pasted, labels = mix(MixUp(3, cutmix=1.0), 0, size=3)
    assert not bool((blended == blended.round()).all())
    assert bool((pasted == pasted.round()).all())
    assert bool(((labels > 0) & (labels < 1)).any())


def test_both_happen() -> None:
    plain = [
        bool((images == images.round()).all())
        for images, _ in (mix(MixUp(3, alpha=1.0), seed, size=3) for seed in range(40))
    ]
    assert 8 < sum(plain) < 32


def test_a_batch_of_one_stays_itself() -> None:
    for seed in range(4):
        images, labels = mix(MixUp(3), seed, size=1)
        torch.testing.assert_close(images, batch(1)[0])
        torch.testing.assert_close(labels, torch.tensor([[1.0, 0, 0]]))


def test_the_generator_decides_and_nothing_is_changed_in_place() -> None:
    images, labels = batch()
    one, two = (
        MixUp(3)(images, labels, torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(images, batch()[0])
