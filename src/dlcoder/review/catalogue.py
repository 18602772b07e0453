"""All rules."""

from functools import cache

from dlcoder.review.rule import Rule
from dlcoder.review.rules import (
    axes,
    bests,
    calls,
    checkpoint,
    data,
    distributed,
    evaluation,
    graph,
    layers,
    lightning,
    loop,
    losses,
    modules,
    optimization,
    precision,
    script,
    signs,
    targets,
)

_OF_THE_TRAINING = (losses, targets, signs, graph, loop, optimization, precision, evaluation, bests)
_OF_THE_MODEL = (modules, layers, axes)
_OF_THE_RUN = (data, distributed, lightning, checkpoint, script, calls)
_FILES = (*_OF_THE_TRAINING, *_OF_THE_MODEL, *_OF_THE_RUN)


@cache
def catalogue() -> dict[str, Rule]:
    """The rules by name, in the order of the files that hold them."""
    return {each.name: each for file in _FILES for each in file.RULES}
