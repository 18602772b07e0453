"""A multilayer perceptron for tables: residual blocks over numeric features.

    x = linear(features)
    x = x + linear(dropout(relu(linear(norm(x)))))    each block
    outputs = linear(relu(norm(x)))

Tuned, it is within reach of gradient-boosted trees; try those first on small tables.

Shapes: features (B, F), outputs (B, O): regression targets, or logits of classes.
Standardize the features, and regression targets too.
Reference: Gorishniy et al. (the ResNet of tables), arXiv:2106.11959.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Residual blocks of two linear layers each.

    Args:
        num_features: F.
        num_outputs: O.
        width: Width of the residual stream; blocks are twice as wide inside.
        depth: The number of blocks.
        dropout: Probability of dropping an element inside a block.
    """

    def __init__(
        self,
        num_features: int,
        num_outputs: int,
        *,
        width: int = 128,
        depth: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(num_features, width)
        self.blocks = nn.ModuleList(_block(width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, num_outputs)
        # Zero outputs at the start: the mean of standardized targets, equal classes.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return outputs (B, O) for features (B, F)."""
        x = self.embed(features)
        for block in self.blocks:
            x = x + block(x)
        outputs: Tensor = self.output(F.relu(self.norm(x)))
        return outputs


def _block(width: int, dropout: float) -> nn.Sequential:
    # Layer norm, so that the last batch of an epoch may have a single row.
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 2 * width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, width),
    )
