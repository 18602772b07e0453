"""A small convolutional network for small images: the baseline to beat.

Four stages of two 3x3 convolutions with batch norm, the resolution halved and the width
doubled between them, then global average pooling and a linear layer.

Shapes: images (B, 3, H, W) with H, W >= 8, logits (B, C).
Not for images much larger than 64 pixels: its receptive field is 68 pixels wide.
"""

from torch import Tensor, nn


class SmallCNN(nn.Module):
    """Four convolutional stages and a linear classifier.

    Args:
        num_classes: The number of classes, C.
        width: Channels of the first stage; the last has eight times as many.
    """

    def __init__(self, num_classes: int, *, width: int = 32) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            _stage(3, width, stride=1),
            _stage(width, 2 * width, stride=2),
            _stage(2 * width, 4 * width, stride=2),
            _stage(4 * width, 8 * width, stride=2),
        )
        self.classifier = nn.Linear(8 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        # Equal logits at the start: the first loss is ln C, whatever the features are.
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) for images (B, 3, H, W)."""
        features = self.stages(images).mean(dim=(2, 3))  # (B, 8 * width)
        logits: Tensor = self.classifier(features)
        return logits


def _stage(channels_in: int, channels_out: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        _conv_norm_relu(channels_in, channels_out, stride=stride),
        _conv_norm_relu(channels_out, channels_out, stride=1),
    )


def _conv_norm_relu(
    channels_in: int, channels_out: int, *, stride: int
) -> nn.Sequential:
    return nn.Sequential(
        # Batch norm brings its own bias.
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )
