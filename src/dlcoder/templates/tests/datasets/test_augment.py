"""Tests of the augmentation."""

import torch

from dlcoder.templates.components.datasets.augment import RandomAugment

IMAGE = torch.randn(3, 16, 12, generator=torch.Generator().manual_seed(0))


def augmented(augment: RandomAugment, seed: int) -> torch.Tensor:
    return augment(IMAGE, torch.Generator().manual_seed(seed))


def test_the_shape_stays() -> None:
    assert augmented(RandomAugment(), 0).shape == IMAGE.shape


def test_it_depends_on_the_generator_alone() -> None:
    torch.manual_seed(1)
    first = augmented(RandomAugment(), 0)
    torch.manual_seed(2)
    assert torch.equal(first, augmented(RandomAugment(), 0))
    assert any(not torch.equal(first, augmented(RandomAugment(), s)) for s in range(9))


def test_without_shift_and_flip_the_image_is_as_it_was() -> None:
    plain = RandomAugment(shift=0, flip=False, jitter=0.0, erase=0.0)
    assert torch.equal(augmented(plain, 0), IMAGE)


def test_a_flip_mirrors_left_and_right_about_half_the_time() -> None:
    augment = RandomAugment(shift=0, flip=True, jitter=0.0, erase=0.0)
    flips = sum(torch.equal(augmented(augment, s), IMAGE.flip(-1)) for s in range(100))
    assert 30 < flips < 70


def test_erasing_blanks_one_square() -> None:
    augment = RandomAugment(shift=0, flip=False, jitter=0.0, erase=0.25)
    assert int((augmented(augment, 0) == 0).sum()) == 3 * 3 * 3


def test_jitter_keeps_the_order_of_values() -> None:
    augment = RandomAugment(shift=0, flip=False, jitter=0.4, erase=0.0)
    changed = augmented(augment, 0)
    assert not torch.equal(changed, IMAGE)
    assert torch.equal(changed.flatten().argsort(), IMAGE.flatten().argsort())


def test_all_frames_of_a_clip_are_augmented_alike() -> None:
    clip = IMAGE.expand(4, 3, 16, 12)
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        frames = RandomAugment()(clip, generator)
        assert frames.shape == clip.shape
        assert torch.equal(frames, augmented(RandomAugment(), seed).expand_as(clip))
