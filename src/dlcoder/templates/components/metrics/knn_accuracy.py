"""Accuracy of nearest neighbors on frozen features: how good is a representation?

    vote_c = sum over the k nearest training samples of class c of  exp(cosine / T)

It needs no training, and so judges a self-supervised model while it learns. The
features of validation and training images must come from the model in evaluation mode,
without augmentation.

Shapes: features (N, D), labels (N,).
Reference: Wu et al., arXiv:1805.01978; k = 20 and T = 0.07 as in DINO.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class KNNAccuracy:
    """Counts of right samples, and of all.

    Args:
        train_features: The neighbors (M, D).
        train_labels: Their classes (M,).
        num_classes: The number of classes.
        k: How many neighbors vote, at most M.
        temperature: How much more the nearest count.
    """

    def __init__(
        self,
        train_features: Tensor,
        train_labels: Tensor,
        num_classes: int,
        *,
        k: int = 20,
        temperature: float = 0.07,
    ) -> None:
        self.train_features = train_features
        self.train_labels = train_labels
        self.num_classes = num_classes
        self.k = k
        self.temperature = temperature
        self.counts = torch.zeros(2, dtype=torch.int64, device=train_labels.device)

    def update(self, features: Tensor, target: Tensor) -> None:
        """Count one batch: features (B, D), target (B,)."""
        predicted = knn_predict(
            features,
            self.train_features,
            self.train_labels,
            num_classes=self.num_classes,
            k=self.k,
            temperature=self.temperature,
        )
        self.counts[0] += (predicted == target).sum()
        self.counts[1] += len(target)


def knn_accuracy(counts: Tensor) -> float:
    """Return the accuracy of counts (2,), added up over ranks; 0 without samples."""
    right, total = counts.tolist()
    return float(right / max(total, 1))


@torch.no_grad()
def knn_predict(
    features: Tensor,
    train_features: Tensor,
    train_labels: Tensor,
    *,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    chunk: int = 1024,
) -> Tensor:
    """Return the class (N,) that the neighbors of each of `features` (N, D) vote for.

    Args:
        features: What to classify (N, D).
        train_features: The neighbors (M, D).
        train_labels: Their classes (M,).
        num_classes: The number of classes.
        k: How many neighbors vote, at most M.
        temperature: How much more the nearest count.
        chunk: How many are classified at once.
    """
    train = F.normalize(train_features.float(), dim=1)
    predictions = []
    for part in features.float().split(chunk):
        similarity, index = (F.normalize(part, dim=1) @ train.T).topk(k, dim=1)
        votes = (similarity / temperature).exp()
        scores = votes.new_zeros(len(part), num_classes)
        scores.scatter_add_(1, train_labels[index], votes)
        predictions.append(scores.argmax(dim=1))
    return torch.cat(predictions)
