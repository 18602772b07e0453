"""Tests of augmented samples."""

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlcoder.templates.components.datasets.augmented_pairs import AugmentedPairs
from dlcoder.templates.components.datasets.sampler import ResumableBatchSampler


def moved(
    image: Tensor, mask: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """An augmentation: both are rolled by the same number of pixels."""
    shifts = torch.randint(8, (2,), generator=generator).tolist()
    return image.roll(shifts, (-2, -1)), mask.roll(shifts, (-2, -1))


class Blocks(Dataset[tuple[Tensor, Tensor]]):
    """Masks of noise, and images that show them."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(index)
        mask = torch.randint(5, (8, 8), generator=generator)
        return mask.float().expand(3, 8, 8), mask


def epoch(number: int, *, workers: int = 0, rank: int = 0, world: int = 1) -> Tensor:
    data = AugmentedPairs(Blocks(), moved, seed=1)
    sampler = ResumableBatchSampler(
        12, 4 // world, seed=1, rank=rank, world_size=world, with_epoch=True
    )
    sampler.seek(number)
    loader = DataLoader(data, batch_sampler=sampler, num_workers=workers)
    return torch.cat([mask for _, mask in loader])


def test_image_and_mask_are_augmented_together() -> None:
    image, mask = AugmentedPairs(Blocks(), moved, seed=1)[0, 3]
    assert not torch.equal(mask, Blocks()[3][1])
    assert torch.equal(image[0].long(), mask)


def test_workers_change_nothing_and_epochs_do() -> None:
    assert torch.equal(epoch(0), epoch(0, workers=2))
    assert not torch.equal(epoch(0), epoch(1))


def test_ranks_together_see_what_one_would() -> None:
    both = torch.stack([epoch(2, rank=rank, world=2) for rank in (0, 1)], dim=1)
    assert torch.equal(both.flatten(0, 1), epoch(2))


def test_no_two_draws_share_their_randomness() -> None:
    def drawn(
        image: Tensor, mask: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        return torch.rand(4, generator=generator), mask

    data = AugmentedPairs(Blocks(), drawn, seed=0)
    draws = [tuple(data[e, i][0].tolist()) for e in range(3) for i in range(4)]
    assert len(set(draws)) == len(draws)
