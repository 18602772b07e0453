"""The projection head of contrastive learning, as in SimCLR.

Shapes: features (B, D), projections (B, P). The head is thrown away after pre-training.
Reference: Chen et al., arXiv:2002.05709.
"""

from torch import Tensor, nn


class ProjectionHead(nn.Module):
    """Two linear layers with batch norm.

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
