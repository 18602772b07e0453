"""Rules of the train loop: clearing, clipping, stepping, and in which order."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from dlcoder.review.rule import Edit, Found, insert_before, replace, rule
from dlcoder.review.source import Function, Loop, Source, attribute, last_word, receiver, same
from dlcoder.review.training import Training, contributing, is_optimizer, is_scaler, is_scheduler, trainings


def missing_zero_grad(source: Source) -> Iterator[Found]:
    """Gradients that are never cleared.

    Why: backward adds to what is there: each update follows the sum of all gradients since the start, and diverges or
    crawls.
    Fix: Clear the gradients once per update, before backward or after step.
    Bad:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    Good:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
    """
    for each in trainings(source):
        own = [step for step in each.steps if attribute(step) == "step" and is_optimizer(source, receiver(step))]
        stepped = own or each.steps
        if not stepped or each.engine or _clears(source, each) or not _is_repeated(each):
            continue
        direct = attribute(stepped[0]) == "step" and _one_backward(source, each)
        optimizer = source.code(receiver(own[0])) if own else _scaled_optimizer(source, stepped[0])
        edits = (insert_before(source, each.backward, f"{optimizer}.zero_grad()"),) if direct else ()
        yield Found(stepped[0], "it steps, and nothing clears the gradients between two steps", edits)


def _is_repeated(training: Training) -> bool:
    """Whether a training stands in a loop, or in a function that by its name is called in one."""
    if training.region is not training.scope:
        return True
    return isinstance(training.scope, Function) and bool(re.search(r"train|step|update|fit", training.scope.name))


def _clears(source: Source, training: Training) -> bool:
    """Whether gradients are cleared in the region, or anywhere that the region may call."""
    if training.zero_grads or any(source.called(call).endswith("autograd.grad") for call in training.calls):
        return True
    elsewhere = (call for call in source.calls if source.scope(call) is not training.scope)
    return any(attribute(call) == "zero_grad" for call in elsewhere) or any(
        isinstance(node, ast.Assign) and any(last_word(target) == "grad" for target in node.targets)
        for node in source.nodes
    )


def _one_backward(source: Source, training: Training) -> bool:
    return sum(other.region is training.region for other in trainings(source)) == 1


def _scaled_optimizer(source: Source, step: ast.Call) -> str:
    return source.code(step.args[0]) if step.args else "optimizer"


def zero_grad_before_step(source: Source) -> Iterator[Found]:
    """Gradients cleared between backward and step.

    Why: The optimizer steps on zeros: nothing is learned but what weight decay and momentum do, and nothing crashes.
    Fix: Move zero_grad before backward, or after step.
    Bad:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.zero_grad()
                optimizer.step()
    Good:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
    """
    for each in trainings(source):
        for zero in each.zero_grads:
            steps = [step for step in each.steps if _steps_what(source, step, zero) and step.lineno > zero.lineno]
            before = [step for step in each.steps if each.backward.lineno < step.lineno < zero.lineno]
            later = [
                other
                for other in trainings(source)
                if other.region is each.region and zero.lineno < other.backward.lineno
            ]
            if (
                steps
                and not before
                and not later
                and each.backward.lineno < zero.lineno
                and each.alongside(zero, steps[0])
            ):
                yield Found(
                    zero, f"it clears the gradients of line {each.backward.lineno} before line {steps[0].lineno} steps"
                )


def _steps_what(source: Source, step: ast.Call, zero: ast.Call) -> bool:
    """Whether a step is of the optimizer that is cleared, as far as the names tell."""
    if attribute(step) != "step":
        return False
    stepped = step.args[0] if is_scaler(source, receiver(step)) and step.args else receiver(step)
    return same(stepped, receiver(zero)) or not is_optimizer(source, receiver(zero))


def step_before_backward(source: Source) -> Iterator[Found]:
    """A step on the gradients of the batch before.

    Why: Where gradients are cleared between step and backward, the optimizer only ever sees zeros; else each update is
    one batch late.
    Fix: Step after backward.
    Bad:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                optimizer.step()
                loss.backward()
    Good:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    """
    for each in trainings(source):
        if each.steps and not each.engine and _one_backward(source, each):
            step = each.steps[-1]
            cleared = [zero for zero in each.zero_grads if zero.lineno < step.lineno]
            if step.lineno < each.backward.lineno and cleared and each.alongside(step, each.backward):
                yield Found(step, f"it steps before line {each.backward.lineno} computes the gradients")


def zero_grad_every_micro_batch(source: Source) -> Iterator[Found]:
    """Accumulated gradients that are thrown away.

    Why: The optimizer steps every so many micro-batches, but the gradients are cleared at each of them: all but the
    last are lost.
    Fix: Clear the gradients where the optimizer steps, after it.
    Bad:
        def train(model, loader, optimizer, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                optimizer.zero_grad()
                loss = criterion(model(x), y) / accumulate
                loss.backward()
                if (i + 1) % accumulate == 0 or i + 1 == len(loader):
                    optimizer.step()
    Good:
        def train(model, loader, optimizer, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                loss = criterion(model(x), y) / accumulate
                loss.backward()
                if (i + 1) % accumulate == 0 or i + 1 == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
    """
    for each in trainings(source):
        if each.window:
            for zero in each.zero_grads:
                if not any(isinstance(outer, ast.If) for outer in source.up_to(zero, each.region)):
                    yield Found(
                        zero, "it clears the gradients at every micro-batch, and the optimizer steps less often"
                    )


def accumulation_not_averaged(source: Source) -> Iterator[Found]:
    """Accumulated gradients that are summed.

    Why: Gradients of k micro-batches add up to k times that of the whole batch: SGD takes steps k times too long,
    clipping strikes always, and Adam hides it.
    Fix: Divide the loss by the number of micro-batches, or better by the number of samples or tokens of all of them.
    Bad:
        def train(model, loader, optimizer, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                loss = criterion(model(x), y)
                loss.backward()
                if (i + 1) % accumulate == 0 or i + 1 == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
    Good:
        def train(model, loader, optimizer, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                loss = criterion(model(x), y) / accumulate
                loss.backward()
                if (i + 1) % accumulate == 0 or i + 1 == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
    Reference: https://huggingface.co/blog/gradient_accumulation
    """
    for each in trainings(source):
        number = each.micro_batches
        if number is not None and not each.engine:
            name = last_word(number)
            divisors = [
                node.right if isinstance(node, ast.BinOp) else node.value
                for node in ast.walk(each.scope)
                if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            ]
            words = [word for divisor in divisors for word in ast.walk(divisor)]
            if any(same(word, number) or (name and last_word(word) == name) for word in words):
                continue
            # The divisor may be made from the number: `window = min(k, left)`.
            made_from = contributing(source, each.scope, divisors)
            if name in made_from or any("accum" in word for word in [*made_from, *map(last_word, words)]):
                continue
            edits: tuple[Edit, ...] = ()
            if isinstance(each.loss, ast.Name) and each.loss is getattr(each.backward.func, "value", None):
                edits = (replace(source, each.loss, f"({each.loss.id} / {source.code(number)})"),)
            yield Found(
                each.backward, f"the gradients of {source.code(number)} micro-batches are summed, not averaged", edits
            )


def accumulation_tail_dropped(source: Source) -> Iterator[Found]:
    """Micro-batches after the last step of an epoch.

    Why: Where the number of batches is no multiple of the window, the last ones are not applied, and their gradients
    leak into the first update of the next epoch.
    Fix: Step at the last batch of the epoch too.
    Bad:
        def train(model, loader, optimizer, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                loss = criterion(model(x), y) / accumulate
                loss.backward()
                if (i + 1) % accumulate == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    Good:
        def train(model, loader, optimizer, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                loss = criterion(model(x), y) / accumulate
                loss.backward()
                if (i + 1) % accumulate == 0 or i + 1 == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
    """
    for each in trainings(source):
        if each.window is None or not isinstance(each.region, ast.For):
            continue
        condition, _ = each.window
        iterated = each.region.iter
        if not (isinstance(iterated, ast.Call) and source.called(iterated) == "enumerate" and len(iterated.args) == 1):
            continue
        if isinstance(condition.test, ast.Compare) and _counts_by(condition.test, each.region.target):
            end = each.region.end_lineno or 0
            after = [call for call in source.calls_in(each.scope) if call.lineno > end and attribute(call) == "step"]
            if not after:
                yield Found(condition, "the batches after the last multiple are never applied in their epoch")


def _counts_by(test: ast.Compare, target: ast.expr) -> bool:
    """Whether a test looks at the position in the loop alone: `(i + 1) % k == 0`."""
    index = target.elts[0] if isinstance(target, ast.Tuple) else target
    return any(last_word(word) == last_word(index) for word in ast.walk(test))


def scheduler_every_micro_batch(source: Source) -> Iterator[Found]:
    """A schedule that runs ahead of the optimizer.

    Why: The schedule steps at every micro-batch, the optimizer every k: the learning rate has decayed after a k-th of
    the training.
    Fix: Step the schedule where the optimizer steps.
    Bad:
        def train(model, loader, optimizer, scheduler, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                (criterion(model(x), y) / accumulate).backward()
                if (i + 1) % accumulate == 0 or i + 1 == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
                scheduler.step()
    Good:
        def train(model, loader, optimizer, scheduler, criterion, accumulate):
            for i, (x, y) in enumerate(loader):
                (criterion(model(x), y) / accumulate).backward()
                if (i + 1) % accumulate == 0 or i + 1 == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
                    scheduler.step()
    """
    for each in trainings(source):
        if each.window:
            for step in each.scheduler_steps:
                if not any(isinstance(outer, ast.If) for outer in source.up_to(step, each.region)):
                    yield Found(
                        step, f"it steps at every micro-batch, the optimizer only in line {each.window[0].lineno}"
                    )


def scheduler_before_optimizer(source: Source) -> Iterator[Found]:
    """A schedule that steps first.

    Why: The first value of the schedule is skipped, and each update has the learning rate of the next.
    Fix: Step the optimizer first, then the schedule.
    Bad:
        def train(model, loader, optimizer, scheduler, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                scheduler.step()
                optimizer.step()
    Good:
        def train(model, loader, optimizer, scheduler, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
                scheduler.step()
    Reference: https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
    """
    for each in trainings(source):
        for schedule in each.scheduler_steps:
            later = [step for step in each.steps if step.lineno > schedule.lineno and each.alongside(step, schedule)]
            earlier = [step for step in each.steps if step.lineno < schedule.lineno]
            if later and not earlier:
                yield Found(schedule, f"it steps before the optimizer (line {later[0].lineno})")


def scheduler_stepped_twice(source: Source) -> Iterator[Found]:
    """A schedule that steps twice in a row.

    Why: The learning rate decays twice as fast as it was meant to.
    Fix: Step it once per update, or once per epoch.
    Bad:
        def train(model, loader, optimizer, scheduler, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
                scheduler.step()
                scheduler.step()
    Good:
        def train(model, loader, optimizer, scheduler, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
                scheduler.step()
    """
    steps = [call for call in source.calls if attribute(call) == "step" and is_scheduler(source, receiver(call))]
    for first, second in pairwise(steps):
        blocks = [source.parent(source.statement(call)) for call in (first, second)]
        if (
            blocks[0] is blocks[1]
            and same(receiver(first), receiver(second))
            and isinstance(blocks[0], Function | Loop)
        ):
            yield Found(second, f"line {first.lineno} has stepped it already")


def clip_out_of_place(source: Source) -> Iterator[Found]:
    """Gradients clipped where it has no effect.

    Why: Before backward there is nothing to clip, after step it is too late: spikes reach the weights.
    Fix: Clip after backward (and after unscale_), before step.
    Bad:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                loss.backward()
                optimizer.step()
    Good:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
    """
    for each in trainings(source):
        if not _one_backward(source, each):
            continue
        for clip in each.clips:
            if clip.lineno < each.backward.lineno and each.alongside(clip, each.backward):
                yield Found(clip, f"it clips before line {each.backward.lineno} computes the gradients")
            elif each.steps and clip.lineno > each.steps[-1].lineno and each.alongside(clip, each.steps[-1]):
                yield Found(clip, f"it clips after line {each.steps[-1].lineno} has used the gradients")


RULES = [
    rule(find)
    for find in (
        missing_zero_grad,
        zero_grad_before_step,
        step_before_backward,
        zero_grad_every_micro_batch,
        accumulation_not_averaged,
        accumulation_tail_dropped,
        scheduler_every_micro_batch,
        scheduler_before_optimizer,
        scheduler_stepped_twice,
        clip_out_of_place,
    )
]
