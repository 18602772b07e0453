"""What drives the training of a project: the loop of its own, or a framework's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Framework:
    """How a project trains.

    Attributes:
        words: What the README calls it.
        train: The template of train.py.
        one_node: What starts a process on each GPU of one node, up to the script.
        requires: What must be installed beside torch, by the name of the extra.
        parts: What files of engine are for, where they differ from framework to framework.
    """

    words: str
    train: str
    one_node: str
    requires: dict[str, str]
    parts: dict[str, str]


_LOOP = {"trainer.py": "the loop around it: epochs, logs, checkpoints"}

FRAMEWORKS = {
    "pytorch": Framework(
        "plain PyTorch",
        "train.py.j2",
        "torchrun --standalone --nproc-per-node gpu",
        {},
        {"train_step.py": "one update: forward, backward, clip, step", **_LOOP},
    ),
    "accelerate": Framework(
        "PyTorch with Accelerate",
        "train.py.j2",
        "accelerate launch --multi-gpu",
        {"accelerate": "accelerate>=1.2"},
        {"accelerate_step.py": "one update: forward, backward, clip, step, by Accelerate", **_LOOP},
    ),
    "lightning": Framework(
        "PyTorch with Lightning",
        "frameworks/lightning.py.j2",
        "torchrun --standalone --nproc-per-node gpu",
        {"lightning": "lightning>=2.5"},
        {
            "lightning_module.py": "one update: forward, backward, clip, step",
            "lightning_callbacks.py": "around it: exact resume, logs, evaluation, checkpoints",
            "lightning_data.py": "the windows of micro-batches that Lightning's Trainer is fed with",
        },
    ),
}
"""By the word of the spec."""
