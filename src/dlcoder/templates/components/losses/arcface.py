"""ArcFace: softmax over angles with an additive margin, for recognizing identities.

    L = cross entropy of  s cos(theta_y + m)  (true class)  and  s cos(theta_j)

`theta_j` is the angle between an embedding and the learned direction of class j. Beyond
theta = pi - m, where the margin would turn the order round, the true class gets
`cos(theta) - m sin(m)` instead. The module owns the class directions: give its
parameters to the optimizer.

Paper: Deng et al., 2019, https://arxiv.org/abs/1801.07698
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ArcFaceLoss(nn.Module):
    """Additive angular margin loss with its classifier.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: Number of identities.
        scale: s, the inverse temperature.
        margin: m in radians, in [0, pi / 2).
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        scale: float = 64.0,
        margin: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 <= margin < math.pi / 2:
            raise ValueError(f"margin must lie in [0, pi / 2), got {margin}")
        self.scale = scale
        self.margin = margin
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.xavier_normal_(self.weight)

    def forward(self, embeddings: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            embeddings: `(N, D)`; their length does not matter.
            target: Class indices `(N,)`, int64.

        Raises:
            RuntimeError: A target is not a class.
        """
        dtype = torch.promote_types(embeddings.dtype, torch.float32)
        with torch.autocast(embeddings.device.type, enabled=False):
            cosine = F.linear(
                F.normalize(embeddings.to(dtype)), F.normalize(self.weight.to(dtype))
            )
        own = cosine.gather(1, target.unsqueeze(1))
        # The slope of the sine is infinite at an angle of 0 or pi.
        sine = (1 - own.square()).clamp_min(torch.finfo(dtype).eps).sqrt()
        shifted = own * math.cos(self.margin) - sine * math.sin(self.margin)
        turned = own <= -math.cos(self.margin)
        shifted = torch.where(
            turned, own - self.margin * math.sin(self.margin), shifted
        )
        return F.cross_entropy(
            self.scale * cosine.scatter(1, target.unsqueeze(1), shifted), target
        )
