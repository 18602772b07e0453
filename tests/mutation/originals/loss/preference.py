"""Direct preference optimisation."""

import torch.nn.functional as F
from torch import Tensor


def preference_loss(chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor) -> Tensor:
    """Mean of -log sigmoid of the advantage, from log-probabilities of whole answers (B,)."""
    policy, reference = chosen - rejected, reference_chosen - reference_rejected
    return -F.logsigmoid(0.1 * (policy - reference)).mean()
