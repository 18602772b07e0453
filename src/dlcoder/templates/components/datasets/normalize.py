"""Images on the scale that networks expect.

Shapes: image (3, H, W), float32, normalized with the mean and standard deviation of
ImageNet, which suit natural photographs.
"""

import torch
from torch import Tensor

MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)


def normalize(image: Tensor) -> Tensor:
    """Bring an image (3, H, W) of values from 0 to 255 to the scale of ImageNet's."""
    return (image.float() / 255 - MEAN) / STD
