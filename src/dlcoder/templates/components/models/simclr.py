"""SimCLR: an encoder and the projection head that is trained by contrast.

    projections = head(encoder(images))

Train on two views of each image with NT-Xent (or VICReg, Barlow Twins); afterwards
`features` is what is used.

Shapes: images (B, 3, H, W), projections (B, P), features (B, D).
Reference: Chen et al., arXiv:2002.05709.
"""

from torch import Tensor, nn

from dlcoder.templates.components.models.projection_head import ProjectionHead
from dlcoder.templates.components.models.resnet import Depth
from dlcoder.templates.components.models.resnet_encoder import ResNetEncoder


class SimCLR(nn.Module):
    """A residual network below a projection head.

    Args:
        depth: Layers of the encoder: 18, 34, 50 or 101.
        width: Channels of the encoder's first stage.
        projection: P.
        small_images: Keep the resolution at the start, for images of up to about 64
            pixels.
    """

    def __init__(
        self,
        *,
        depth: Depth = 18,
        width: int = 64,
        projection: int = 128,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(
            depth=depth, width=width, small_images=small_images
        )
        self.head = ProjectionHead(self.encoder.dim, projection)

    def forward(self, images: Tensor) -> Tensor:
        """Return projections (B, P) for images (B, 3, H, W)."""
        projections: Tensor = self.head(self.encoder(images))
        return projections

    def features(self, images: Tensor) -> Tensor:
        """Return what the encoder has learned of images, (B, D)."""
        features: Tensor = self.encoder(images)
        return features
