"""What a variational autoencoder minimizes and watches, for one batch.

The evidence lower bound is divided by the number of pixel values, so that one learning
rate and one limit of the gradient suit images of every size.

Shapes: images (B, 3, S, S), of about zero mean and unit variance. What else is in a
batch, such as labels, is not used.
"""

from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.beta_vae import BetaVAELoss


class Variational:
    """The objective of a variational autoencoder.

    Args:
        beta: Weight of the KL divergence; 1 is the bound itself.
    """

    def __init__(self, *, beta: float = 1.0) -> None:
        self.loss = BetaVAELoss(beta=beta)

    def count(self, batch: Batch) -> int:
        """The number of images, which sums are divided by in the end."""
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the images: `loss_*` to minimize, `metric_*` to watch."""
        images = batch[0]
        reconstruction, mean, log_variance = model(images)
        bound = self.loss(reconstruction, images, mean, log_variance)
        error = (reconstruction.float() - images).square().mean(dim=(1, 2, 3))
        return {
            "loss_negative_elbo": bound * len(images) / images[0].numel(),
            "metric_reconstruction_error": error.detach().sum(),
        }
