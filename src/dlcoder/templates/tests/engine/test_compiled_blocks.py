"""Tests of the compilation of blocks."""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.compiled_blocks import compile_blocks


class Block(nn.Module):
    """Something that knows whether it was compiled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)
        self.compiled = False

    def forward(self, x: Tensor) -> Tensor:
        self.compiled |= torch.compiler.is_compiling()
        output: Tensor = self.layer(x)
        return output[:, :-1].relu()


def make_model(backend: str) -> nn.Module:
    """A stack of blocks no two of which are alike, more than torch would compile."""
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(width) for width in range(14, 2, -1)))
    compile_blocks(model, backend=backend)
    return model


def test_compiled_blocks_train_as_others_and_their_weights_have_the_same_names() -> (
    None
):
    results = {}
    for backend in ("none", "aot_eager"):
        model = make_model(backend)
        for batch in (3, 2):
            model(torch.ones(batch, 14)).sum().backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters()}
        results[backend] = (model.state_dict(), gradients)
        compiled = [
            part.compiled for part in model.modules() if isinstance(part, Block)
        ]
        assert compiled == [backend != "none"] * 12
    torch.testing.assert_close(results["aot_eager"], results["none"])
