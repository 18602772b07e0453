"""Tests of compilation."""

import copy

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.compiled import compile_in_place


class Network(nn.Module):
    """Something with buffers that change, which knows whether it was compiled."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        self.compiled = False

    def forward(self, x: Tensor) -> Tensor:
        self.compiled |= torch.compiler.is_compiling()
        output: Tensor = self.layers(x)
        return output


def trained(backend: str) -> Network:
    """A network after steps with batches of two sizes."""
    model = Network()
    compile_in_place(model, backend=backend)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for size in (5, 3, 5):
        optimizer.zero_grad()
        model(torch.randn(size, 4, generator=generator)).square().mean().backward()
        optimizer.step()
    return model


def test_a_compiled_model_trains_to_the_same_weights_of_the_same_names() -> None:
    plain, compiled = trained("none"), trained("aot_eager")
    assert compiled.compiled and not plain.compiled
    torch.testing.assert_close(compiled.state_dict(), plain.state_dict())


def test_a_copy_of_a_compiled_model_is_a_plain_one() -> None:
    model = Network()
    compile_in_place(model, backend="aot_eager")
    twin = copy.deepcopy(model)
    twin(torch.ones(2, 4))
    assert not twin.compiled
