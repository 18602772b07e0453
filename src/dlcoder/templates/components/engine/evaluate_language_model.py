"""Evaluation of a language model over all tokens, exact on any number of ranks.

perplexity = exp(mean cross entropy)
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.predict import predict
from dlcoder.templates.components.utils.distributed import World, sum_over_ranks


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: `loss_total` and `loss_cross_entropy`, means over all tokens;
            `metric_perplexity` and `metric_accuracy`.
        loss_by_position: The mean loss (L,) of each position: it falls as long as
            more context helps.
    """

    metrics: dict[str, float]
    loss_by_position: Tensor


def evaluate_language_model(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    length: int,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Maps tokens (B, L) to logits (B, L, V).
        batches: This rank's share: inputs, and targets (B, L).
        length: The number of positions, L.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    # Losses, hits and tokens of each position.
    sums = torch.zeros(3, length, dtype=torch.float64, device=world.device)
    for logits, (_, targets) in predict(
        model, batches, world=world, amp_dtype=amp_dtype
    ):
        scores = logits.float().transpose(1, 2)
        losses = F.cross_entropy(scores, targets, ignore_index=-100, reduction="none")
        hits = logits.argmax(dim=2) == targets
        parts = torch.stack([losses, hits, targets != -100])
        sums += parts.double().sum(dim=1)
    sums = sum_over_ranks(sums).cpu()
    loss, hits, tokens = sums.sum(dim=1).tolist()
    mean_loss = loss / max(tokens, 1)
    return Evaluation(
        metrics={
            "loss_total": mean_loss,
            "loss_cross_entropy": mean_loss,
            "metric_perplexity": math.exp(min(mean_loss, 700)),
            "metric_accuracy": hits / max(tokens, 1),
        },
        loss_by_position=sums[0] / sums[2].clamp(min=1),
    )
