"""Evaluations on two real ranks: what one process finds, with uneven shares, and with a rank that has no sample."""

import importlib
import inspect
import os

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn

from dlcoder.templates.catalogue import catalogue
from dlcoder.templates.components.models.dcgan import Generator
from dlcoder.templates.components.models.fcos import FCOS
from dlcoder.templates.components.models.simclr import SimCLR
from dlcoder.templates.components.models.small_cnn import SmallCNN
from dlcoder.templates.components.models.vae import VAE
from dlcoder.templates.components.utils.distributed import World

EVALUATIONS = sorted(name for name in catalogue() if name.startswith("engine/evaluate_"))
SIZE, CLASSES, LENGTH, SAMPLES = 16, 3, 5, 9
RANDOM = ("engine/evaluate_diffusion",)
"""What they measure depends on noise, which every rank draws for itself."""


class Denoiser(nn.Module):
    """Predicts what it is given."""

    def forward(self, images, step):
        return images


def draw():
    """What a task's batches are made of: as many of each as there are samples."""
    torch.manual_seed(0)
    corner = 4 * torch.rand(SAMPLES, 2, 2)
    return {
        "images": torch.randn(SAMPLES, 3, SIZE, SIZE),
        "labels": torch.arange(SAMPLES) % CLASSES,
        "masks": torch.randint(CLASSES, (SAMPLES, SIZE, SIZE)),
        "flags": torch.randint(2, (SAMPLES, CLASSES)).float(),
        "boxes": torch.cat([corner, corner + 8], dim=2),
        "box_labels": torch.randint(-1, CLASSES, (SAMPLES, 2)),
        "tokens": torch.randint(CLASSES, (SAMPLES, LENGTH)),
        "targets": torch.randint(CLASSES, (SAMPLES, LENGTH)),
        "numbers": torch.randn(SAMPLES, 4),
        "values": torch.randn(SAMPLES, 2),
    }


def case(name):
    """A model, the names of a batch's parts, and the other arguments."""
    torch.manual_seed(1)
    return {
        "classifier": lambda: (SmallCNN(CLASSES, width=4), ["images", "labels"], {"num_classes": CLASSES}),
        "detector": lambda: (
            FCOS(CLASSES, depth=18, width=8, channels=8, head_depth=1),
            ["images", "boxes", "box_labels"],
            {},
        ),
        "diffusion": lambda: (Denoiser(), ["images"], {}),
        "features": lambda: (SimCLR(width=4, small_images=True), ["images", "labels"], {"neighbors": 3}),
        "generation": lambda: (Generator(8, width=4, image_size=SIZE), ["images"], {}),
        "language_model": lambda: (nn.Embedding(CLASSES, CLASSES), ["tokens", "targets"], {"length": LENGTH}),
        "multilabel": lambda: (SmallCNN(CLASSES, width=4), ["images", "flags"], {"num_classes": CLASSES}),
        "regression": lambda: (nn.Linear(4, 2), ["numbers", "values"], {"num_targets": 2}),
        "segmentation": lambda: (nn.Conv2d(3, CLASSES, 1), ["images", "masks"], {"num_classes": CLASSES}),
        "variational": lambda: (VAE(image_size=SIZE, latent_dim=4, width=8), ["images"], {}),
    }[name.removeprefix("engine/evaluate_")]()


def evaluate(name, world, chosen):
    """The metrics of some of the samples, in batches of two."""
    module = importlib.import_module(f"dlcoder.templates.components.{name.replace('/', '.')}")
    model, parts, options = case(name)
    samples = draw()
    shares = [samples[part][chosen].split(2) for part in parts] if len(range(SAMPLES)[chosen]) else [[]]
    function = getattr(module, catalogue()[name].symbol)
    assert "world" in inspect.signature(function).parameters
    return function(model, list(zip(*shares, strict=True)), world=world, **options).metrics


def test_ranks_with_uneven_shares_or_none_find_what_one_process_finds(tmp_path):
    alone = World(rank=0, size=1, device=torch.device("cpu"))
    expected = {name: evaluate(name, alone, slice(None)) for name in EVALUATIONS}
    spawn(_rank, args=(str(tmp_path / "meeting"), expected), nprocs=2)


def _rank(rank, meeting, expected):
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    world = World(rank, 2, torch.device("cpu"))
    for name, metrics in expected.items():
        uneven = evaluate(name, world, slice(rank, None, 2))
        assert uneven.keys() == metrics.keys()
        if name not in RANDOM:
            assert uneven == pytest.approx(metrics, rel=1e-4, nan_ok=True), name
        lonely = evaluate(name, world, slice(0 if rank == 0 else SAMPLES, None))
        # A generator's noise depends on the number of an image, which is another here.
        if name not in (*RANDOM, "engine/evaluate_generation"):
            assert lonely == pytest.approx(metrics, rel=1e-4, nan_ok=True), name
    # Gloo's threads can hang or abort a process that ends in the ordinary way.
    os._exit(0)
