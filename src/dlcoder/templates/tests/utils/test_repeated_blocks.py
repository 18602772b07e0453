"""Tests of finding the blocks of a network."""

from torch import nn

from dlcoder.templates.components.utils.repeated_blocks import repeated_blocks


def make_block() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.ReLU())


def test_the_innermost_blocks_are_found_each_once() -> None:
    first, second, third = make_block(), make_block(), make_block()
    model = nn.Sequential(
        nn.Sequential(first, second), nn.ModuleList([third, third]), nn.Linear(2, 2)
    )
    assert repeated_blocks(model) == [first, second, third]


def test_layers_alone_are_no_blocks() -> None:
    assert repeated_blocks(make_block()) == []
