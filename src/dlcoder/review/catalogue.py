"""All rules."""

from functools import cache

from dlcoder.review.rule import Rule
from dlcoder.review.rules import (
    checkpoint,
    data,
    distributed,
    evaluation,
    graph,
    loop,
    losses,
    modules,
    precision,
    script,
)

_FILES = (losses, graph, loop, precision, evaluation, modules, data, distributed, checkpoint, script)


@cache
def catalogue() -> dict[str, Rule]:
    """The rules by name, in the order of the files that hold them."""
    return {each.name: each for file in _FILES for each in file.RULES}
