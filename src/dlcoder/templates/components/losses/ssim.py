"""Structural similarity (SSIM), also multi-scale, as a loss for image restoration.

    L = 1 - mean SSIM,   SSIM = l * cs
    l = (2 mx my + C1) / (mx^2 + my^2 + C1),  cs = (2 sxy + C2) / (sx^2 + sy^2 + C2)
    multi-scale: L = 1 - mean of  prod_{j < M} cs_j^w_j * (l cs)_M^w_M,  M halved scales

Means and variances are taken in an 11-tap Gaussian window (sigma 1.5) that stays inside
the image, so the border of 5 pixels has no center. SSIM ignores a small shift of color:
combine it with L1 or Charbonnier.

Papers: Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861; Wang et al., 2003
(multi-scale)
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class SSIMLoss(nn.Module):
    """One minus the structural similarity.

    Args:
        data_range: Largest minus smallest possible value of a pixel.
        multi_scale: Whether to multiply the contrasts of five scales; the images must
            then be at least 161 pixels wide.
        window: Taps of the Gaussian window, odd.
        sigma: Its standard deviation in pixels.
    """

    def __init__(
        self,
        *,
        data_range: float = 1.0,
        multi_scale: bool = False,
        window: int = 11,
        sigma: float = 1.5,
    ) -> None:
        super().__init__()
        if window % 2 == 0:
            raise ValueError(f"window must be odd, got {window}")
        self.c1 = (0.01 * data_range) ** 2
        self.c2 = (0.03 * data_range) ** 2
        self.scales = len(SCALE_WEIGHTS) if multi_scale else 1
        offsets = range(-(window // 2), window // 2 + 1)
        taps = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets]
        self.taps = tuple(tap / sum(taps) for tap in taps)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in [0, 2], in float32 or wider.

        Args:
            prediction: Images `(B, C, H, W)` within the data range.
            target: The same shape.

        Raises:
            ValueError: There are no images, they are smaller than the window at the
                coarsest scale, or their shapes differ.
        """
        if prediction.shape != target.shape or len(target) == 0:
            shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            raise ValueError(f"give images of one shape, not {shapes}")
        shrink = 1 << (self.scales - 1)
        smallest = (len(self.taps) - 1) * shrink + 1
        if min(prediction.shape[-2:]) < smallest:
            size = tuple(prediction.shape[-2:])
            raise ValueError(f"images of {size} are too small: give {smallest} a side")
        x = prediction.to(torch.promote_types(prediction.dtype, torch.float32))
        y = target.to(x.dtype)
        if self.scales == 1:
            similarity, _ = self._similarity(x, y)
            return 1 - similarity.mean()
        return 1 - self._multi_scale(x, y).mean()

    def _multi_scale(self, x: Tensor, y: Tensor) -> Tensor:
        """Multi-scale similarity of every image and channel, `(B, C)`."""
        product = torch.ones_like(x[:, :, 0, 0])
        for scale, weight in enumerate(SCALE_WEIGHTS):
            similarity, contrast = self._similarity(x, y)
            last = scale == len(SCALE_WEIGHTS) - 1
            value = (similarity if last else contrast).mean(dim=(2, 3))
            # A root of a negative contrast is not a number, and of zero has an infinite
            # slope.
            product = product * value.clamp_min(1e-6) ** weight
            if not last:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return product

    def _similarity(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return SSIM and its factor cs at every inner pixel, `(B, C, H', W')` each."""
        # E[x^2] - E[x]^2 cancels. Without the mean of the image it cancels less, and a
        # variance does not change.
        center_x = x.detach().mean(dim=(2, 3), keepdim=True)
        center_y = y.detach().mean(dim=(2, 3), keepdim=True)
        x, y = x - center_x, y - center_y
        mean_x, mean_y = self._blur(x), self._blur(y)
        covariance = self._blur(x * y) - mean_x * mean_y
        variances = self._blur(x * x + y * y) - (mean_x * mean_x + mean_y * mean_y)
        mean_x, mean_y = mean_x + center_x, mean_y + center_y
        product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
        contrast = (2 * covariance + self.c2) / (variances + self.c2)
        luminance = (2 * product + self.c1) / (squares + self.c1)
        return luminance * contrast, contrast

    def _blur(self, images: Tensor) -> Tensor:
        blurred: Tensor = _Blur.apply(images, self.taps)  # type: ignore[no-untyped-call]
        return blurred


class _Blur(torch.autograd.Function):
    """Blur rows and columns by shifted sums, which keep nothing for the gradient."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        images: Tensor,
        taps: tuple[float, ...],
    ) -> Tensor:
        ctx.taps = taps  # type: ignore[attr-defined]
        for dim in (3, 2):
            size = images.shape[dim] - len(taps) + 1
            total = images.narrow(dim, 0, size) * taps[0]
            for shift, tap in enumerate(taps[1:], start=1):
                total.add_(images.narrow(dim, shift, size), alpha=tap)
            images = total
        return images

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grad_outputs: Tensor
    ) -> tuple[Tensor, None]:
        taps = ctx.taps  # type: ignore[attr-defined]
        # The window is symmetric: its adjoint is the same blur of a padded image.
        padded = F.pad(grad_outputs[0], [len(taps) - 1] * 4)
        return _Blur.apply(padded, taps), None  # type: ignore[no-untyped-call]
