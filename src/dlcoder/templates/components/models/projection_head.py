"""Projection heads of self-supervised learning: SimCLR's and DINO's.

Shapes: features (B, D), projections (B, P). The head is thrown away after pre-training.
References: Chen et al. (SimCLR), arXiv:2002.05709; Caron et al. (DINO),
arXiv:2104.14294.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class ProjectionHead(nn.Module):
    """Two linear layers with batch norm, as in SimCLR.

    Args:
        features: D.
        projection: P.
        hidden: Width between the layers; None gives D.
    """

    def __init__(
        self, features: int, projection: int = 128, *, hidden: int | None = None
    ) -> None:
        super().__init__()
        hidden = features if hidden is None else hidden
        self.layers = nn.Sequential(
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, projection, bias=False),
            nn.BatchNorm1d(projection),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return projections (B, P) for features (B, D)."""
        projections: Tensor = self.layers(features)
        return projections


class DINOHead(nn.Module):
    """Three linear layers, a normalized bottleneck, and prototypes of length one.

    Args:
        features: D.
        prototypes: P, the number of outputs.
        hidden: Width of the layers.
        bottleneck: Width of the normalized layer.
    """

    def __init__(
        self,
        features: int,
        prototypes: int = 65_536,
        *,
        hidden: int = 2048,
        bottleneck: int = 256,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        for module in self.layers:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.prototypes = weight_norm(nn.Linear(bottleneck, prototypes, bias=False))
        # Lengths stay at one: a prototype that grows would win every sample.
        scale = self.prototypes.parametrizations.weight.original0
        scale.data.fill_(1.0)
        scale.requires_grad = False

    def forward(self, features: Tensor) -> Tensor:
        """Return logits over prototypes (B, P) for features (B, D)."""
        logits: Tensor = self.prototypes(F.normalize(self.layers(features), dim=-1))
        return logits
