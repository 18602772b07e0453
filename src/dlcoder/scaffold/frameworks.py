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
        checkpoint: The suffix of checkpoints.
    """

    words: str
    train: str
    one_node: str
    requires: dict[str, str]
    checkpoint: str


FRAMEWORKS = {
    "pytorch": Framework("plain PyTorch", "train.py.j2", "torchrun --standalone --nproc-per-node gpu", {}, "pt"),
    "accelerate": Framework(
        "PyTorch with Accelerate",
        "train.py.j2",
        "accelerate launch --multi-gpu",
        {"accelerate": "accelerate>=1.2"},
        "pt",
    ),
    "lightning": Framework(
        "PyTorch with Lightning",
        "frameworks/lightning.py.j2",
        "torchrun --standalone --nproc-per-node gpu",
        {"lightning": "lightning>=2.5"},
        "pt",
    ),
}
"""By the word of the spec."""
