"""A residual network without its classifier: features for whatever comes after.

    features = mean over pixels of the last stage

Shapes: images (B, 3, H, W), features (B, D), D = `encoder.dim`.
Parameters at the large stem: 11,176,512 (18), 23,508,032 (50).
Reference: He et al., arXiv:1512.03385.
"""

from torch import Tensor, nn

from dlcoder.templates.components.models.resnet import Depth, ResNet


class ResNetEncoder(nn.Module):
    """A residual network that returns features.

    Args:
        depth: The number of layers: 18 and 34 have basic, 50 and 101 bottleneck blocks.
        width: Channels of the first stage; 64 in the paper.
        small_images: Keep the resolution at the start, for images of up to about 64
            pixels.
    """

    def __init__(
        self, *, depth: Depth = 18, width: int = 64, small_images: bool = False
    ) -> None:
        super().__init__()
        resnet = ResNet(1, depth=depth, width=width, small_images=small_images)
        self.stem, self.stages = resnet.stem, resnet.stages
        self.dim = resnet.classifier.in_features

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, D) for images (B, 3, H, W)."""
        features: Tensor = self.stages(self.stem(images)).mean(dim=(2, 3))
        return features
