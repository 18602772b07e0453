"""Evaluation of features that were learned without labels, by neighbors with labels.

Each image of the validation set is classified by its nearest neighbors among the
others. Nothing is trained for it, so it shows what the features hold, epoch by epoch.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.utils.distributed import World, gather
from dlcoder.templates.components.utils.evaluation_mode import evaluation_mode


@dataclass(frozen=True)
class Evaluation:
    """What the features of a dataset hold.

    Attributes:
        metrics: `metric_knn_accuracy`.
        features: Of all images (N, D), of length one.
        labels: Of all images (N,). Both are in the order of the dataset.
    """

    metrics: dict[str, float]
    features: Tensor
    labels: Tensor


@torch.no_grad()
def evaluate_features(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    world: World,
    amp_dtype: torch.dtype | None = None,
    neighbors: int = 10,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Its `features` maps images (B, 3, H, W) to features (B, D).
        batches: This rank's share of every `world.size`-th sample: images, and labels
            (B,), used here only.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
        neighbors: How many vote on a label.
    """
    device = world.device
    # torch knows of no methods beside those of every module.
    encode: Callable[[Tensor], Tensor] = model.features  # type: ignore[assignment]
    features, labels = [], []
    with evaluation_mode(model):
        for images, image_labels in batches:
            with torch.autocast(
                device.type, dtype=amp_dtype, enabled=amp_dtype is not None
            ):
                encoded = encode(images.to(device, non_blocking=True))
            features.append(F.normalize(encoded.float(), dim=1).cpu())
            labels.append(image_labels)
    all_features = _in_order(gather(features))
    all_labels = _in_order(gather(labels))
    accuracy = _vote(all_features, all_labels, neighbors)
    return Evaluation({"metric_knn_accuracy": accuracy}, all_features, all_labels)


def _in_order(shares: list[list[Tensor]]) -> Tensor:
    """Join the batches of all ranks, each of which has every so manyth sample."""
    positions = [
        rank + len(shares) * torch.arange(sum(len(batch) for batch in share))
        for rank, share in enumerate(shares)
    ]
    joined = torch.cat([batch for share in shares for batch in share])
    return joined[torch.cat(positions).argsort()]


def _vote(features: Tensor, labels: Tensor, neighbors: int) -> float:
    """The part of the samples whose neighbors, never themselves, agree with them."""
    right = 0
    for start in range(0, len(features), 1024):
        similarity = features[start : start + 1024] @ features.T
        rows = torch.arange(len(similarity))
        similarity[rows, rows + start] = float("-inf")
        nearest = similarity.topk(min(neighbors, len(features) - 1), dim=1).indices
        votes = F.one_hot(labels[nearest]).sum(dim=1)
        right += int((votes.argmax(dim=1) == labels[start : start + 1024]).sum())
    return right / len(features)
