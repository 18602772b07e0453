"""The projection head of DINO: scores of learned prototypes.

    logits = prototypes . normalize(mlp(features)),   each prototype of length one

Features that come out of a ReLU have most of themselves in common, and their angles
tell hardly anything: without batch norm the teacher of a residual network is uniform
long before it knows better. Transformers end in a layer norm, and can do without.

Shapes: features (B, D), logits (B, K). The head is thrown away after pre-training.
Reference: Caron et al., arXiv:2104.14294.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class DINOHead(nn.Module):
    """Three linear layers, a normalized bottleneck, and prototypes of length one.

    Args:
        features: D.
        prototypes: K, the number of outputs.
        hidden: Width of the layers.
        bottleneck: Width of the normalized layer.
        norm: Have batch norm after the first two layers.
    """

    def __init__(
        self,
        features: int,
        prototypes: int = 65_536,
        *,
        hidden: int = 2048,
        bottleneck: int = 256,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            *([nn.BatchNorm1d(hidden)] if norm else []),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            *([nn.BatchNorm1d(hidden)] if norm else []),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        for module in self.layers:
            if isinstance(module, nn.Linear):
                # The paper's 0.02, at its width of 2048; a narrow layer needs more.
                nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
                nn.init.zeros_(module.bias)
        self.prototypes = weight_norm(nn.Linear(bottleneck, prototypes, bias=False))
        # Lengths stay at one: a prototype that grows would win every sample.
        scale = self.prototypes.parametrizations.weight.original0
        scale.data.fill_(1.0)
        scale.requires_grad = False

    def forward(self, features: Tensor) -> Tensor:
        """Return logits over prototypes (B, K) for features (B, D)."""
        logits: Tensor = self.prototypes(F.normalize(self.layers(features), dim=-1))
        return logits
