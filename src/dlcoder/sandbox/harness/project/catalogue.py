"""What every check of a project is called, what it proves and what it costs, in running order; no torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProjectCheck:
    """One check as a fact.

    Attributes:
        name: Its name; its results are called so, or NAME.RESULT.
        proves: What holds when it passes, as a sentence.
        kills: A mutant that it must kill.
        price: Seconds on one core for a small project, roughly.
    """

    name: str
    proves: str
    kills: str
    price: float

    def __str__(self) -> str:
        return f"{self.proves} It catches: {self.kills}. About {self.price:g} s on one core."


CHECKS = {
    check.name: check
    for check in (
        ProjectCheck(
            "one_batch",
            "A few steps train: finite loss, a gradient for every parameter, an update, cleared gradients, clipping "
            "that bites, every loss wired in, targets of the right shape, kind and position.",
            "a missing zero_grad()",
            0.5,
        ),
        ProjectCheck(
            "scheduler",
            "Learning rates follow one schedule, stepped once at its rate and after the optimizer.",
            "a scheduler stepped per micro-batch",
            1,
        ),
        ProjectCheck(
            "accumulation",
            "A window of micro-batches has the gradient of one batch, the last window too.",
            "a missing 1/k",
            2,
        ),
        ProjectCheck("ema", "Averaged weights follow the model, buffers included.", "averages never updated", 1),
        ProjectCheck(
            "validation",
            "Evaluation is in evaluation mode, without graphs, on data of its own, every sample counts once, "
            "the best is chosen by the right sign.",
            "evaluation mode left on",
            1.5,
        ),
        ProjectCheck("memory", "Live tensors and graphs do not grow with the steps.", "a list of losses", 1),
        ProjectCheck("syncs", "The host does not wait for the device in every micro-batch.", "a loss read in each", 1),
        ProjectCheck("logs", "The log parses and agrees with the run.", "a wrong learning rate in the log", 1),
        ProjectCheck("nan_guard", "A NaN never reaches the weights.", "a guard after the update", 0.5),
        ProjectCheck("overfit", "One batch is learnt by heart.", "softmax before cross_entropy", 3),
        ProjectCheck(
            "reproducible", "Two runs with one seed are equal bit for bit, two seeds differ.", "a seed ignored", 1.5
        ),
        ProjectCheck(
            "resume",
            "A killed and resumed run equals one that was not: weights, optimizer, schedule, random states.",
            "an optimizer not restored",
            2,
        ),
        ProjectCheck("knobs", "Every option changes something that can be observed.", "a weight decay unused", 5),
        ProjectCheck(
            "world_size",
            "The gradient on several ranks is the mean over them, and as large as on one.",
            "gradients summed",
            2,
        ),
        ProjectCheck("uneven", "Data that the ranks cannot divide ends without a hang.", "uneven shards", 2),
        ProjectCheck("crash", "An exception on one rank ends all and is named.", "a swallowed exception", 2),
        ProjectCheck(
            "torchrun",
            "Under a real torchrun every rank ends, with equal weights, on its own data, and one rank writes.",
            "a collective on rank 0 only",
            6,
        ),
    )
}
"""Every check by its name."""
