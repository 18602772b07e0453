"""DINO: an encoder and the head that student and teacher share.

    logits of a view = head(encoder(view))

The student sees all crops, the teacher, an average of its weights, the global ones.

Shapes: views V x (B, 3, h, w), where crops differ in size, logits (V, B, K).
Reference: Caron et al., arXiv:2104.14294.
"""

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from dlcoder.templates.components.models.dino_head import DINOHead
from dlcoder.templates.components.models.resnet import Depth
from dlcoder.templates.components.models.resnet_encoder import ResNetEncoder


class DINO(nn.Module):
    """A residual network below a head of prototypes.

    Args:
        depth: Layers of the encoder: 18, 34, 50 or 101.
        width: Channels of the encoder's first stage.
        prototypes: K.
        hidden: Width of the head's layers; its bottleneck has an eighth of that.
        small_images: Keep the resolution at the start, for images of up to about 64
            pixels.
    """

    def __init__(
        self,
        *,
        depth: Depth = 18,
        width: int = 64,
        prototypes: int = 4096,
        hidden: int = 2048,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(
            depth=depth, width=width, small_images=small_images
        )
        # The paper's 256 of 2048: cosines differ the less, the wider they are.
        self.head = DINOHead(
            self.encoder.dim,
            prototypes,
            hidden=hidden,
            bottleneck=hidden // 8,
            norm=True,
        )

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Return logits (V, B, K) for V views (B, 3, h, w).

        Neighbors of one size pass the encoder together: give global crops first.
        """
        features = [
            self.encoder(torch.cat(list(group)))
            for _, group in groupby(views, key=lambda view: view.shape)
        ]
        logits: Tensor = self.head(torch.cat(features))
        return logits.view(len(views), -1, logits.shape[1])

    def features(self, images: Tensor) -> Tensor:
        """Return what the encoder has learned of images (B, 3, H, W), (B, D)."""
        features: Tensor = self.encoder(images)
        return features
