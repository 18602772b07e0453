"""Losses that no public package offers, as readers of their papers write them: the floor to measure against."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlcoder.templates.components.losses.fcos import assign

IGNORE = 255


def boundary(logits: Tensor, target: Tensor, distance: Tensor) -> Tensor:
    """Probabilities times signed distances, the background left out."""
    product = logits.softmax(dim=1)[:, 1:] * distance[:, 1:]
    valid = (target != IGNORE).unsqueeze(1).expand_as(product)
    return product[valid].mean()


def diffusion(prediction: Tensor, clean: Tensor, noise: Tensor, step: Tensor, alpha_bar: Tensor) -> Tensor:
    """Epsilon prediction with min-SNR weights, as in training scripts of diffusers."""
    snr = alpha_bar[step] / (1 - alpha_bar[step])
    error = F.mse_loss(prediction, noise, reduction="none").flatten(1).mean(dim=1)
    return (error * snr.clamp(max=5.0) / snr).mean()


def dino(student: Tensor, teacher: Tensor, center: Tensor) -> Tensor:
    """All pairs of different views, one after the other, as in the authors' code."""
    targets = ((teacher - center) / 0.04).softmax(dim=-1).detach()
    total, pairs = torch.zeros(()), 0
    for own, target in enumerate(targets):
        for view, logits in enumerate(student):
            if view != own:
                total = total - (target * F.log_softmax(logits / 0.1, dim=-1)).sum(dim=-1).mean()
                pairs += 1
    return total / pairs


def dpo(chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor) -> Tensor:
    """Rafailov's equation 7."""
    margin = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -F.logsigmoid(0.1 * margin).mean()


def fcos(
    logits: Tensor, distances: Tensor, centerness: Tensor, locations: Tensor, boxes: Tensor, labels: Tensor
) -> Tensor:
    """Focal loss everywhere, GIoU and centerness where there is a box; given the boxes of the locations."""
    classes, true = assign(locations, boxes, labels)
    positive = classes >= 0
    target = F.one_hot(classes + 1, logits.shape[2] + 1)[..., 1:].to(logits.dtype)
    p, bce = logits.sigmoid(), F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    miss = p * (1 - target) + (1 - p) * target
    focal = (miss**2 * bce * (0.25 * target + 0.75 * (1 - target))).sum()
    found, true = distances[positive], true[positive]
    shared, hull = _area(torch.minimum(found, true)), _area(torch.maximum(found, true))
    union = _area(found) + _area(true) - shared
    giou = (1 - shared / union + (hull - union) / hull).sum()
    sides = true.unflatten(1, (2, 2))
    central = (sides.amin(dim=1) / sides.amax(dim=1)).prod(dim=1).sqrt()
    center = F.binary_cross_entropy_with_logits(centerness[positive], central, reduction="sum")
    return (focal + giou + center) / positive.sum().clamp(min=1)


def ohem_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """All losses sorted, and the highest kept, as in the code of BiSeNet."""
    losses = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none").flatten()
    least = round(0.0625 * losses.numel())
    hard = losses.sort(descending=True).values
    threshold = -torch.tensor(0.7).log()
    return hard[hard > threshold].mean() if hard[least] > threshold else hard[:least].mean()


def region_consensus(logits: Tensor, regions: Tensor) -> Tensor:
    """Means of regions by products with their masks."""
    log_probs = logits.log_softmax(dim=1)
    masks = F.one_hot(regions, 19).to(logits.dtype).flatten(1, 2)  # (B, N, R)
    size = masks.sum(dim=1).unsqueeze(1)
    mean = log_probs.exp().flatten(2) @ masks / size.clamp(min=1)
    mean_log = log_probs.flatten(2) @ masks / size.clamp(min=1)
    return (mean * (mean.clamp(min=1e-30).log() - mean_log) * size).sum() / regions.numel()


def _area(distances: Tensor) -> Tensor:
    left, top, right, bottom = distances.unbind(dim=-1)
    return (left + right) * (top + bottom)
