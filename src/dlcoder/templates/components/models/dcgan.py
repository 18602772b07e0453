"""DCGAN: a generator and a discriminator of strided convolutions.

Batch norm is the generator's alone. In the discriminator, which sees real and made
images apart, it would hide the contrast of a whole batch. What bounds its slope is a
penalty in its loss, or layers of a spectral norm of one (Miyato et al., 2018,
arXiv:1802.05957).

Shapes: noise (B, Z), images (B, 3, S, S), scores (B,).
Parameters at Z = 100, width 64 and S = 64: 3,576,704 (generator, as in the paper),
2,764,737 (discriminator).
Reference: Radford et al., arXiv:1511.06434.
"""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Generator(nn.Module):
    """Maps noise to images.

    Args:
        noise_dim: Z.
        width: Channels of the last hidden layer; the first has eight times as many.
        image_size: S, a multiple of 16.
        bound: What pixels lie between, up to the sign.
    """

    def __init__(
        self,
        noise_dim: int = 100,
        *,
        width: int = 64,
        image_size: int = 64,
        bound: float = 1.0,
    ) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.bound = bound
        first = _smallest(image_size)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(noise_dim, 8 * width, first, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.ReLU(inplace=True),
            _enlarge(8 * width, 4 * width),
            _enlarge(4 * width, 2 * width),
            _enlarge(2 * width, width),
            nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1, bias=False),
            nn.Tanh(),
        )
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, mean=1.0, std=0.02)

    def forward(self, noise: Tensor) -> Tensor:
        """Return images (B, 3, S, S) for noise (B, Z)."""
        images: Tensor = self.layers(noise[:, :, None, None])
        return self.bound * images


class Discriminator(nn.Module):
    """Scores images; there is no sigmoid at the end.

    Args:
        width: Channels of the first layer; the last hidden has eight times as many.
        norm: Hold the layers to a spectral norm of one, for a loss without a penalty
            on the slope, such as hinge.
        image_size: S, a multiple of 16.
    """

    def __init__(
        self, *, width: int = 64, norm: bool = True, image_size: int = 64
    ) -> None:
        super().__init__()
        last = _smallest(image_size)
        self.layers = nn.Sequential(
            _reduce(3, width),
            _reduce(width, 2 * width),
            _reduce(2 * width, 4 * width),
            _reduce(4 * width, 8 * width),
            nn.Conv2d(8 * width, 1, last),
        )
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d):
                # Nothing rescales what goes through: all scales start alike.
                nn.init.kaiming_normal_(module.weight, a=0.2)
                if norm:
                    spectral_norm(module)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) for images (B, 3, S, S)."""
        scores: Tensor = self.layers(images)
        return scores.flatten()


def _smallest(image_size: int) -> int:
    """The side of the smallest map: four layers make twice or half of it."""
    if image_size % 16:
        raise ValueError(f"image_size must be a multiple of 16, is {image_size}")
    return image_size // 16


def _enlarge(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, 2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _reduce(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
    )
