"""The blocks that a network is a stack of: what is recomputed or sharded as a unit."""

from torch import nn


def repeated_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the innermost parts that are elements of a list and have parts."""
    elements = [
        element
        for module in model.modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
        for element in module
        if any(element.children())
    ]
    found = set(elements)
    return [
        block
        for block in dict.fromkeys(elements)
        if not any(part in found for part in block.modules() if part is not block)
    ]
