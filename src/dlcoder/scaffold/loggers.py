"""What shows a run's records while it goes on, beside the files that keep them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Logger:
    """Something that shows curves.

    Attributes:
        requires: The package that it needs.
        folder: Where it writes, in a run's folder.
        words: What the README says of it.
    """

    requires: str
    folder: str
    words: str


LOGGERS = {
    "tensorboard": Logger(
        "tensorboard>=2.14", "tensorboard/", "the numbers of both as curves: `tensorboard --logdir runs`"
    ),
    "wandb": Logger(
        "wandb>=0.19",
        "wandb/",
        "what Weights & Biases is sent; with `train.wandb` offline, by `wandb sync` later, and no account until then",
    ),
}
"""By the word of the spec."""
