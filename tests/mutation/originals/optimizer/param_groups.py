"""Groups with and without weight decay."""

from torch import nn


def param_groups(model: nn.Module, weight_decay: float = 0.05) -> list[dict]:
    """Matrices and filters decay; biases and norms do not; frozen parameters are left out."""
    decayed, plain = [], []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        (decayed if parameter.ndim >= 2 else plain).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
