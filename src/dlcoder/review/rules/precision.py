"""Rules of mixed precision: the gradient scaler, autocast, and what float16 cannot hold."""

import ast
from collections.abc import Iterator

from dlcoder.review.rule import Found, insert_before, replace, rule
from dlcoder.review.source import Source, argument, attribute, keyword, last_word, receiver
from dlcoder.review.training import Training, is_engine, is_optimizer, is_scaler, trainings

_AUTOCAST = ("autocast",)


def _scaled(training: Training) -> ast.Call | None:
    """The call that scales the loss of a training, if one does."""
    for call in training.calls:
        if attribute(call) == "scale" and is_scaler(training.source, receiver(call)):
            return call
    return None


def clip_scaled_gradients(source: Source) -> Iterator[Found]:
    """Gradients clipped while they are scaled.

    Why: The scaler has multiplied them by up to 65,536: clipped to a norm of 1 and then divided,
    hardly anything is left.
    Fix: Call scaler.unscale_(optimizer) before clipping.
    Bad:
        import torch
        def train(model, loader, optimizer, criterion, scaler):
            for x, y in loader:
                optimizer.zero_grad()
                scaler.scale(criterion(model(x), y)).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
    Good:
        import torch
        def train(model, loader, optimizer, criterion, scaler):
            for x, y in loader:
                optimizer.zero_grad()
                scaler.scale(criterion(model(x), y)).backward()
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
    Reference: https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping
    """
    for each in trainings(source):
        scaled = _scaled(each)
        if scaled is None:
            continue
        by_hand = [call for call in each.calls if attribute(call) == "clamp_" and _is_gradient(receiver(call))]
        for clip in [*each.clips, *by_hand]:
            unscaled = [call for call in each.calls if attribute(call) == "unscale_" and call.lineno <= clip.lineno]
            steps = [call for call in each.steps if attribute(call) == "step" and is_scaler(source, receiver(call))]
            steps = [call for call in steps if call.args]
            if not unscaled and clip.lineno > each.backward.lineno:
                line = f"{source.code(receiver(scaled))}.unscale_({source.code(steps[0].args[0])})" if steps else ""
                yield Found(
                    clip,
                    "it clips gradients that the scaler has multiplied, since unscale_ was not called",
                    (insert_before(source, clip, line),) if len(steps) == 1 else (),
                )


def _is_gradient(node: ast.expr) -> bool:
    """Whether an expression is a gradient: `p.grad`, `p.grad.data`."""
    return last_word(node) == "grad" or (isinstance(node, ast.Attribute) and last_word(node.value) == "grad")


def scaler_bypassed(source: Source) -> Iterator[Found]:
    """A step on gradients that are still scaled.

    Why: The optimizer sees gradients multiplied by up to 65,536, and steps on inf and NaN as well.
    Fix: Let the scaler step: scaler.step(optimizer), then scaler.update().
    Bad:
        def train(model, loader, optimizer, criterion, scaler):
            for x, y in loader:
                optimizer.zero_grad()
                scaler.scale(criterion(model(x), y)).backward()
                optimizer.step()
                scaler.update()
    Good:
        def train(model, loader, optimizer, criterion, scaler):
            for x, y in loader:
                optimizer.zero_grad()
                scaler.scale(criterion(model(x), y)).backward()
                scaler.step(optimizer)
                scaler.update()
    Reference: https://docs.pytorch.org/docs/stable/notes/amp_examples.html
    """
    for each in trainings(source):
        on = each.backward.func
        scaled = isinstance(on, ast.Attribute) and isinstance(on.value, ast.Call) and attribute(on.value) == "scale"
        if not scaled or any(attribute(step) != "step" or is_scaler(source, receiver(step)) for step in each.steps):
            continue
        for step in each.steps:
            if is_optimizer(source, receiver(step)):
                scaler = source.code(receiver(on.value))  # type: ignore[attr-defined]
                fixed = f"{scaler}.step({source.code(receiver(step))})"
                yield Found(step, "it steps on gradients that are still scaled", (replace(source, step, fixed),))


def scaler_never_updated(source: Source) -> Iterator[Found]:
    """A gradient scaler whose scale never changes.

    Why: After the first overflow every step is skipped: the scale can only come down in update.
    Fix: Call scaler.update() after each scaler.step(optimizer).
    Bad:
        def train(model, loader, optimizer, criterion, scaler):
            for x, y in loader:
                optimizer.zero_grad()
                scaler.scale(criterion(model(x), y)).backward()
                scaler.step(optimizer)
    Good:
        def train(model, loader, optimizer, criterion, scaler):
            for x, y in loader:
                optimizer.zero_grad()
                scaler.scale(criterion(model(x), y)).backward()
                scaler.step(optimizer)
                scaler.update()
    Reference: https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
    """
    updated = any(attribute(call) == "update" and is_scaler(source, receiver(call)) for call in source.calls)
    if updated:
        return
    for each in trainings(source):
        for step in each.steps:
            if (
                attribute(step) == "step"
                and is_scaler(source, receiver(step))
                and step.args
                and _scaled(each) is not None
            ):
                yield Found(step, f"{source.code(receiver(step))}.update() is never called")


def backward_under_autocast(source: Source) -> Iterator[Found]:
    """A backward pass inside autocast.

    Why: Backward runs in the types that the forward pass chose; under autocast, custom functions and recomputation
    are cast once more.
    Fix: Leave the autocast block before backward.
    Bad:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(x), y)
                    loss.backward()
                optimizer.step()
    Good:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    Reference: https://docs.pytorch.org/docs/stable/amp.html#autocasting
    """
    for each in trainings(source):
        for outer in source.parents(each.backward):
            if isinstance(outer, ast.With) and any(_is_autocast(source, item.context_expr) for item in outer.items):
                yield Found(each.backward, f"it runs inside the autocast of line {outer.lineno}")
                break


def _is_autocast(source: Source, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not source.called(node).endswith(_AUTOCAST):
        return False
    return not (isinstance(node.func, ast.Attribute) and is_engine(source, node))


def fp16_without_scaler(source: Source) -> Iterator[Found]:
    """Training in float16 without a gradient scaler.

    Why: Gradients below 6e-8 become 0 in float16: the model learns slowly or stops, without an error.
    Fix: Scale the loss with torch.amp.GradScaler, or use bfloat16.
    Bad:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda", dtype=torch.float16):
                    loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    Good:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    Reference: https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
    """
    if any("scaler" in each.lower() for each in _words(source)):
        return
    for each in trainings(source):
        if each.engine:
            continue
        for call in each.calls:
            if _is_autocast(source, call) and _is_float16(source, call):
                yield Found(call, "it computes in float16, and no scaler keeps small gradients from becoming 0")


def _words(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _is_float16(source: Source, call: ast.Call) -> bool:
    dtype = argument(call, 1 if source.called(call) == "torch.autocast" else 9, "dtype")
    enabled = keyword(call, "enabled")
    if enabled is not None:
        return False
    if dtype is not None:
        return source.dotted(dtype) in ("torch.float16", "torch.half")
    device = argument(call, 0, "device_type")
    on_cuda = isinstance(device, ast.Constant) and device.value == "cuda"
    return source.called(call) == "torch.cuda.amp.autocast" or on_cuda


RULES = [
    rule(find)
    for find in (
        clip_scaled_gradients,
        scaler_bypassed,
        scaler_never_updated,
        backward_under_autocast,
        fp16_without_scaler,
    )
]
