"""Residual networks for classification, with basic and bottleneck blocks.

    y = relu(x + F(x)),    F of two 3x3, or of 1x1, 3x3 and 1x1 convolutions

The stride of a bottleneck is in its 3x3 convolution, as in torchvision.

Shapes: images (B, 3, H, W), logits (B, C).
Parameters at C = 1000 and the large stem: 11,689,512 (18), 21,797,672 (34),
25,557,032 (50), 44,549,160 (101).
Reference: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
"""

from typing import Literal

from torch import Tensor, nn

Depth = Literal[18, 34, 50, 101]


class ResNet(nn.Module):
    """A residual network.

    Args:
        num_classes: The number of classes, C.
        depth: The number of layers: 18 and 34 have basic, 50 and 101 bottleneck blocks.
        width: Channels of the first stage; 64 in the paper.
        small_images: Begin with one 3x3 convolution and keep the resolution, for images
            of up to about 64 pixels; else with the 7x7 convolution and the pooling of
            the paper, which divide it by 4.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: Depth = 18,
        width: int = 64,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        block, repeats = LAYOUTS[depth]
        self.stem = _small_stem(width) if small_images else _large_stem(width)
        self.stages = nn.Sequential()
        channels = width
        for number, repeat in enumerate(repeats):
            inner, stage = width * 2**number, nn.Sequential()
            for index in range(repeat):
                stride = 2 if number > 0 and index == 0 else 1
                stage.append(block(channels, inner, stride))
                channels = inner * block.expansion
            self.stages.append(stage)
        self.classifier = nn.Linear(channels, num_classes)
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) for images (B, 3, H, W)."""
        features = self.stages(self.stem(images)).mean(dim=(2, 3))
        logits: Tensor = self.classifier(features)
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.shortcut = _shortcut(channels, inner, stride)
        self.conv1 = _conv_norm(channels, inner, kernel=3, stride=stride)
        self.conv2 = _conv_norm(inner, inner, kernel=3, zero=True)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, inner, H / stride, W / stride)."""
        residual = self.conv2(self.relu(self.conv1(x)))
        out: Tensor = self.relu(self.shortcut(x) + residual)
        return out


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 convolutions, beside a shortcut."""

    expansion = 4

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = inner * self.expansion
        self.shortcut = _shortcut(channels, outer, stride)
        self.conv1 = _conv_norm(channels, inner, kernel=1)
        self.conv2 = _conv_norm(inner, inner, kernel=3, stride=stride)
        self.conv3 = _conv_norm(inner, outer, kernel=1, zero=True)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, 4 * inner, H / stride, W / stride)."""
        residual = self.relu(self.conv1(x))
        residual = self.conv3(self.relu(self.conv2(residual)))
        out: Tensor = self.relu(self.shortcut(x) + residual)
        return out


LAYOUTS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


def _small_stem(width: int) -> nn.Sequential:
    return nn.Sequential(_conv_norm(3, width, kernel=3), nn.ReLU(inplace=True))


def _large_stem(width: int) -> nn.Sequential:
    return nn.Sequential(
        _conv_norm(3, width, kernel=7, stride=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )


def _conv_norm(
    channels_in: int,
    channels_out: int,
    *,
    kernel: int,
    stride: int = 1,
    zero: bool = False,
) -> nn.Sequential:
    norm = nn.BatchNorm2d(channels_out)
    if zero:
        # A block starts as its shortcut: deep networks train from the first step on.
        nn.init.zeros_(norm.weight)
    return nn.Sequential(
        # Batch norm brings its own bias.
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
        norm,
    )


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return _conv_norm(channels_in, channels_out, kernel=1, stride=stride)


def _initialize(model: ResNet) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    # Equal logits at the start: the first loss is ln C, whatever the features are.
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
