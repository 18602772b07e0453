"""Linear probe: the accuracy of a linear classifier on frozen features.

    min over W, b of  mean cross entropy(W x + b) + weight_decay / 2 |W|^2

The problem is convex and solved on all training features at once, so that there are no
learning rate and schedule to choose. Features are standardized over the training set.
They must come from the model in evaluation mode, without augmentation.

Shapes: features (N, D), labels (N,).
References: Alain and Bengio, arXiv:1610.01644; standardized as in He et al.,
arXiv:2111.06377.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LinearProbe:
    """A linear classifier, and counts of right samples and of all.

    Args:
        train_features: What to learn from (M, D).
        train_labels: Their classes (M,).
        num_classes: The number of classes.
        weight_decay: How much weights cost; choose it on held-out features.
    """

    def __init__(
        self,
        train_features: Tensor,
        train_labels: Tensor,
        num_classes: int,
        *,
        weight_decay: float = 1e-3,
    ) -> None:
        features = train_features.double()
        self.mean = features.mean(dim=0)
        # A feature that is constant stays as it is, and says nothing.
        self.std = features.std(dim=0, correction=0).clamp(min=1e-6)
        self.classifier = fit_linear(
            (features - self.mean) / self.std, train_labels, num_classes, weight_decay
        )
        self.counts = torch.zeros(2, dtype=torch.int64, device=train_labels.device)

    @torch.no_grad()
    def update(self, features: Tensor, target: Tensor) -> None:
        """Count one batch: features (B, D), target (B,)."""
        logits = self.classifier((features.double() - self.mean) / self.std)
        self.counts[0] += (logits.argmax(dim=1) == target).sum()
        self.counts[1] += len(target)


def probe_accuracy(counts: Tensor) -> float:
    """Return the accuracy of counts (2,), added up over ranks; 0 without samples."""
    right, total = counts.tolist()
    return float(right / max(total, 1))


@torch.enable_grad()
def fit_linear(
    features: Tensor, labels: Tensor, num_classes: int, weight_decay: float
) -> nn.Linear:
    """Solve multinomial logistic regression by L-BFGS.

    Args:
        features: Standardized features (N, D), float64.
        labels: Classes (N,).
        num_classes: The number of classes.
        weight_decay: How much weights cost.
    """
    shape = (features.shape[1], num_classes)
    classifier = nn.Linear(*shape, dtype=features.dtype, device=features.device)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    optimizer = torch.optim.LBFGS(
        classifier.parameters(),
        max_iter=500,
        tolerance_grad=1e-8,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def objective() -> float:
        optimizer.zero_grad()
        penalty = weight_decay / 2 * classifier.weight.square().sum()
        loss = F.cross_entropy(classifier(features), labels) + penalty
        loss.backward()
        return loss.item()

    optimizer.step(objective)
    return classifier
