"""Tests of augmenting image and mask together."""

import torch
from torch import Tensor

from dlcoder.templates.components.datasets.augment_mask import MaskAugment


def sample() -> tuple[Tensor, Tensor]:
    """An image whose color is its label, in blocks of 8 pixels."""
    labels = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    mask = labels.repeat_interleave(8, 0).repeat_interleave(8, 1)
    return mask.float().expand(3, 24, 24).clone(), mask


def draw(augment: MaskAugment, seed: int) -> tuple[Tensor, Tensor]:
    return augment(*sample(), torch.Generator().manual_seed(seed))


def test_every_pixel_keeps_its_label() -> None:
    for seed in range(40):
        image, mask = draw(MaskAugment(jitter=0.0), seed)
        assert (image.shape, mask.shape) == ((3, 24, 24), (24, 24))
        for label in set(mask.unique().tolist()) - {255}:
            colors = image[0][mask == label]
            # Colors blend at borders between blocks, labels do not.
            if len(colors) >= 16:
                assert abs(float(colors.median()) - label) < 0.3
        assert set(mask.unique().tolist()) <= {*range(1, 10), 255}


def test_what_comes_from_outside_is_ignored() -> None:
    image, mask = draw(MaskAugment(low=0.5, high=0.5, flip=False, jitter=0.0), 0)
    assert int((mask != 255).sum()) == 144
    assert bool((image[:, mask == 255] == 0).all())


# needs: MaskAugment.flip
def test_half_of_the_images_are_mirrored() -> None:
    first = [
        int(draw(MaskAugment(low=1.0, high=1.0), seed)[1][0, 0]) for seed in range(60)
    ]
    assert set(first) == {1, 3}
    assert 15 < first.count(1) < 45


def test_the_generator_decides_and_nothing_is_changed_in_place() -> None:
    image, mask = sample()
    augment = MaskAugment(jitter=0.3)
    one = augment(image, mask, torch.Generator().manual_seed(3))
    two = augment(image, mask, torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(image, sample()[0])
    assert torch.equal(mask, sample()[1])


# needs: MaskAugment.jitter
def test_jitter_changes_colors_only() -> None:
    plain, strong = (
        draw(MaskAugment(low=1.0, high=1.0, jitter=j), 5) for j in (0.0, 0.5)
    )
    assert torch.equal(plain[1], strong[1])
    assert not torch.allclose(plain[0], strong[0])
