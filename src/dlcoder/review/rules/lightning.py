"""Rules of Lightning: what it expects of a module's methods, and does silently without."""

import ast
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Source, argument, attribute, keyword, last_word, receiver

_IN_BATCHES = ("OneCycleLR", "get_cosine_schedule_with_warmup", "get_linear_schedule_with_warmup")


def _modules(source: Source) -> Iterator[ast.ClassDef]:
    for owner in source.classes.values():
        if any(source.dotted(base).endswith("LightningModule") for base in owner.bases):
            yield owner


def _is_manual(source: Source, owner: ast.ClassDef) -> bool:
    """Whether a module steps its optimizers itself."""
    return any(
        isinstance(node, ast.Assign) and last_word(node.targets[0]) == "automatic_optimization"
        for node in ast.walk(owner)
    )


def step_returns_nothing(source: Source) -> Iterator[Found]:
    """A training step without a loss.

    Why: Lightning differentiates what training_step returns; None means: skip this batch. Nothing is trained.
    Fix: Return the loss.
    Bad:
        import lightning
        class Net(lightning.LightningModule):
            def training_step(self, batch, index):
                loss = self.compute(batch)
                self.log("loss", loss)
    Good:
        import lightning
        class Net(lightning.LightningModule):
            def training_step(self, batch, index):
                loss = self.compute(batch)
                self.log("loss", loss)
                return loss
    Reference: https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#training-step
    """
    for owner in _modules(source):
        step = source.method(owner, "training_step")
        if step is None or _is_manual(source, owner):
            continue
        returns = any(isinstance(node, ast.Return) and node.value is not None for node in source.within(step))
        computes = any(isinstance(node, ast.Assign) for node in source.within(step))
        if computes and not returns:
            yield Found(step, "it returns None, and the batch is skipped")


def backward_by_hand(source: Source) -> Iterator[Found]:
    """A backward pass that Lightning does not know of.

    Why: loss.backward() passes by the gradient scaler and the strategy: in float16 small gradients become zero.
    Fix: Call self.manual_backward(loss).
    Bad:
        import lightning
        class Net(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.automatic_optimization = False
            def training_step(self, batch, index):
                optimizer = self.optimizers()
                loss = self.compute(batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    Good:
        import lightning
        class Net(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.automatic_optimization = False
            def training_step(self, batch, index):
                optimizer = self.optimizers()
                loss = self.compute(batch)
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
    Reference: https://lightning.ai/docs/pytorch/stable/model/manual_optimization.html
    """
    for owner in _modules(source):
        step = source.method(owner, "training_step")
        for call in source.calls_in(step) if step and _is_manual(source, owner) else ():
            if attribute(call) == "backward" and not call.args:
                fixed = f"self.manual_backward({source.code(receiver(call))})"
                yield Found(call, "it passes by the scaler and the strategy", (replace(source, call, fixed),))


def schedule_once_an_epoch(source: Source) -> Iterator[Found]:
    """A schedule of batches that Lightning steps once an epoch.

    Why: Without an interval Lightning steps a schedule after each epoch: one that counts batches never leaves its
    warm-up.
    Fix: Return {"scheduler": scheduler, "interval": "step"}.
    Bad:
        import lightning
        import torch
        class Net(lightning.LightningModule):
            def configure_optimizers(self):
                optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                total = self.trainer.estimated_stepping_batches
                return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=total)]
    Good:
        import lightning
        import torch
        class Net(lightning.LightningModule):
            def configure_optimizers(self):
                optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                total = self.trainer.estimated_stepping_batches
                scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=total)
                return [optimizer], [{"scheduler": scheduler, "interval": "step"}]
    Reference: https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#configure-optimizers
    """
    for owner in _modules(source):
        build = source.method(owner, "configure_optimizers")
        if build is None or _is_manual(source, owner) or "interval" in source.code(build):
            continue
        if source.method(owner, "lr_scheduler_step"):
            continue
        for call in source.calls_in(build):
            length = keyword(call, "total_steps", "num_training_steps", "T_max", "steps_per_epoch")
            length = length if length is not None else argument(call, 1, "T_max")
            counts = length is not None and "stepping_batches" in source.code(source.origin(length))
            if source.called(call).endswith(_IN_BATCHES) or (counts and "lr_scheduler" in source.called(call)):
                yield Found(call, "it counts batches, and is stepped once an epoch")


RULES = [rule(find) for find in (step_returns_nothing, backward_by_hand, schedule_once_an_epoch)]
