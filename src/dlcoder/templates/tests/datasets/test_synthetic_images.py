"""Tests of the synthetic images."""

import torch

from dlcoder.templates.components.datasets.synthetic_images import SyntheticImages


def make(length: int = 200, noise: float = 1.0, seed: int = 0) -> SyntheticImages:
    return SyntheticImages(length, num_classes=4, image_size=16, seed=seed, noise=noise)


def test_samples_are_repeatable_and_depend_on_the_seed() -> None:
    assert torch.equal(make()[3][0], make()[3][0])
    assert not torch.equal(make()[3][0], make(seed=1)[3][0])


def test_images_are_standardized() -> None:
    images = torch.stack([image for image, _ in (make()[i] for i in range(200))])
    assert images.shape == (200, 3, 16, 16)
    assert abs(float(images.mean())) < 0.05
    assert 0.9 < float(images.std()) < 1.1


def test_classes_are_balanced() -> None:
    labels = torch.tensor([make()[i][1] for i in range(200)])
    assert labels.bincount().tolist() == [50] * 4


def test_the_class_can_be_told_from_the_spectrum() -> None:
    """A plane wave is one peak of the Fourier transform, wherever its phase is."""
    data = make(noise=1.0)
    spectra = torch.stack(
        [torch.fft.fft2(data[i][0]).abs().flatten() for i in range(200)]
    )
    labels = torch.tensor([data[i][1] for i in range(200)])
    means = torch.stack([spectra[:100][labels[:100] == c].mean(0) for c in range(4)])
    guesses = torch.cdist(spectra[100:], means).argmin(dim=1)
    assert float((guesses == labels[100:]).float().mean()) > 0.9


def test_the_fingerprint_tells_versions_apart() -> None:
    assert make().fingerprint() == make().fingerprint()
    assert make().fingerprint() != make(seed=1).fingerprint()
