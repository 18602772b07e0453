"""Tests of the evaluation of a variational autoencoder."""

import pytest
import torch

from dlcoder.templates.components.engine.evaluate_variational import (
    evaluate_variational,
)
from dlcoder.templates.components.models.vae import VAE
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_metrics_are_over_images_whatever_the_batches() -> None:
    torch.manual_seed(0)
    model = VAE(image_size=16, latent_dim=4, width=8)
    images = torch.randn(6, 3, 16, 16)
    whole = evaluate_variational(model, [(images,)], world=ALONE).metrics
    parts = [(images[:4],), (images[4:],)]
    split = evaluate_variational(model, parts, world=ALONE).metrics
    # Autocast, where it is on, rounds differently for other batch sizes.
    assert whole == pytest.approx(split, rel=1e-2)
    assert whole["metric_negative_elbo"] == whole["loss_total"]
