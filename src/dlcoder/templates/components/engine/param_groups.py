"""Which parameters weight decay pulls at."""

from typing import Any

from torch import nn


def param_groups(model: nn.Module, *, weight_decay: float) -> list[dict[str, Any]]:
    """Split the trainable parameters: weights decay; biases and norm scales do not.

    What is one-dimensional shifts or scales a channel. Pulling it to zero does not make
    the network simpler, it only works against the normalization.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {
            "params": [p for p in trainable if p.ndim > 1],
            "weight_decay": weight_decay,
        },
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
