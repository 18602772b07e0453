"""Rules of optimizers and schedules: what is optimized, and in which units the rate changes."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Loop, Source, argument, attribute, keyword, last_word, receiver, same
from dlcoder.review.training import trainings

_COPIES = re.compile(r"(^|_)(teacher|ema|target_net(work)?|momentum_encoder)(_|$)", re.IGNORECASE)


def layer_after_optimizer(source: Source) -> Iterator[Found]:
    """A layer that the optimizer has never seen.

    Why: The optimizer holds the parameters of the layer that was replaced: the new head keeps its random weights.
    Fix: Change the model first, then build the optimizer.
    Bad:
        import torch
        from torch import nn
        def build(model):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            model.fc = nn.Linear(512, 10)
            return model, optimizer
    Good:
        import torch
        from torch import nn
        def build(model):
            model.fc = nn.Linear(512, 10)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            return model, optimizer
    """
    for made in source.calls:
        if not (source.called(made).startswith("torch.optim.") and made.args and isinstance(made.args[0], ast.Call)):
            continue
        of = made.args[0]
        if attribute(of) != "parameters":
            continue
        model = source.dotted(of.func.value) if isinstance(of.func, ast.Attribute) else ""
        for node in source.within(source.scope(made)):
            if isinstance(node, ast.Assign) and node.lineno > made.lineno:
                target = node.targets[0].value if isinstance(node.targets[0], ast.Subscript) else node.targets[0]
                makes_layer = isinstance(node.value, ast.Call) and source.called(node.value).startswith("torch.nn.")
                within = source.dotted(target) == model if target is not node.targets[0] else False
                if model and makes_layer and (within or source.dotted(target).startswith(f"{model}.")):
                    yield Found(node, f"the optimizer of line {made.lineno} does not hold its parameters")


def rate_in_lambda(source: Source) -> Iterator[Found]:
    """A learning rate multiplied by itself.

    Why: LambdaLR multiplies the optimizer's rate by what the function returns. Where that holds the rate too, training
    runs at its square: 1e-6 for 1e-3.
    Fix: Return the factor alone.
    Bad:
        import torch
        def build(model, lr, warmup):
            optimizer = torch.optim.SGD(model.parameters(), lr=lr)
            return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr * min(1, step / warmup))
    Good:
        import torch
        def build(model, lr, warmup):
            optimizer = torch.optim.SGD(model.parameters(), lr=lr)
            return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, step / warmup))
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html
    """
    rates = [keyword(call, "lr") for call in source.calls if source.called(call).startswith("torch.optim.")]
    written = {ast.dump(each) for each in rates if each is not None}
    for call in source.calls:
        given = argument(call, 1, "lr_lambda") if source.called(call).endswith("LambdaLR") else None
        for value in _returned(source, given) if given is not None else ():
            for factor in _factors(value):
                if ast.dump(factor) in written and not _is_one(factor):
                    yield Found(value, f"the rate is multiplied by {source.code(factor)} a second time")


def _returned(source: Source, function: ast.expr) -> list[ast.expr]:
    if isinstance(function, ast.Lambda):
        return [function.body]
    return [
        node.value
        for each in source.functions
        if each.name == last_word(function)
        for node in source.within(each)
        if isinstance(node, ast.Return) and node.value is not None
    ]


def _factors(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult | ast.Div):
        return _factors(value.left) + (_factors(value.right) if isinstance(value.op, ast.Mult) else [])
    return [value]


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def schedule_in_other_units(source: Source) -> Iterator[Found]:
    """A schedule that is built in batches and stepped in epochs, or the other way round.

    Why: Built for epochs x batches and stepped once an epoch, the rate never leaves its warm-up; built for epochs and
    stepped at every batch, it has run out within the first.
    Fix: Step it where its length was counted: inside the loop over batches, or after it.
    Bad:
        import torch
        def fit(model, loader, optimizer, criterion, epochs):
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=epochs, steps_per_epoch=len(loader))
            for epoch in range(epochs):
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                scheduler.step()
    Good:
        import torch
        def fit(model, loader, optimizer, criterion, epochs):
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=epochs, steps_per_epoch=len(loader))
            for epoch in range(epochs):
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                    scheduler.step()
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
    """
    made = {
        last_word(node.targets[0]): node.value
        for node in source.nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if re.search(r"lr_scheduler|get_\w*schedule", source.called(node.value))
    }
    for call in source.calls:
        schedule = made.get(last_word(receiver(call))) if attribute(call) == "step" else None
        if schedule is None or call.args:
            continue
        unit, stepped = _built_in(source, schedule), _stepped_in(source, call)
        if unit and stepped and unit != stepped:
            yield Found(call, f"line {schedule.lineno} counts {unit}, and this steps once for each of the {stepped}")


def _built_in(source: Source, schedule: ast.Call) -> str:
    """The unit in which the length of a schedule is given: batches, epochs, or unknown."""
    length = keyword(schedule, "T_max", "total_steps", "num_training_steps", "total_iters", "steps_per_epoch")
    if length is None and source.called(schedule).endswith("CosineAnnealingLR"):
        length = argument(schedule, 1, "T_max")
    if length is None:
        return ""
    text = source.code(source.origin(length))
    if re.search(r"\blen\(\w*(load|dl|batch)\w*\)|steps_per_epoch|batches_per_epoch", text) or keyword(
        schedule, "steps_per_epoch"
    ):
        return "batches"
    named = re.fullmatch(r"(\w+\.)*(num_|n_|max_|total_)?epochs?", source.code(length), re.IGNORECASE)
    return "epochs" if named else ""


def _stepped_in(source: Source, step: ast.Call) -> str:
    """What the innermost loop around a step runs over: batches, epochs around an inner loop that trains, or unknown."""
    for outer in source.up_to(step, source.scope(step)):
        if isinstance(outer, Loop):
            trains = [call for call in source.calls_in(outer) if attribute(call) == "backward"]
            inner = [node for node in source.within(outer) if isinstance(node, Loop)]
            if any(source.inside(call, loop) for call in trains for loop in inner):
                return "epochs"
            return "batches" if trains and _has_epochs_around(source, outer) else ""
    return ""


def _has_epochs_around(source: Source, loop: ast.AST) -> bool:
    return any(isinstance(outer, ast.For) and "epoch" in source.code(outer.target) for outer in source.parents(loop))


def copy_is_trained(source: Source) -> Iterator[Found]:
    """A teacher that the optimizer trains too.

    Why: A teacher or averaged model follows by averaging, or stands still: given to the optimizer it drifts, mostly
    towards whatever makes the task trivial.
    Fix: Give the optimizer the student's parameters only.
    Bad:
        import torch
        def build(student, teacher):
            return torch.optim.AdamW(list(student.parameters()) + list(teacher.parameters()))
    Good:
        import torch
        def build(student, teacher):
            return torch.optim.AdamW(student.parameters())
    """
    for call in source.calls:
        if not source.called(call).startswith("torch.optim.") or not call.args:
            continue
        for of in (each for each in ast.walk(call.args[0]) if isinstance(each, ast.Call)):
            if attribute(of) == "parameters" and _COPIES.search(last_word(receiver(of))):
                if of is not call.args[0]:
                    yield Found(of, f"{last_word(receiver(of))} is trained beside the others")


def parameters_left_out(source: Source) -> Iterator[Found]:
    """Parameters that are sorted out and never optimized.

    Why: Those of the group that the optimizer does not get, mostly biases and norms, keep their initial values.
    Fix: Give the optimizer every group.
    Bad:
        import torch
        def build(model):
            decay, no_decay = [], []
            for p in model.parameters():
                if p.ndim < 2:
                    no_decay.append(p)
                else:
                    decay.append(p)
            return torch.optim.AdamW([{"params": decay}], weight_decay=0.1)
    Good:
        import torch
        def build(model):
            decay, no_decay = [], []
            for p in model.parameters():
                if p.ndim < 2:
                    no_decay.append(p)
                else:
                    decay.append(p)
            return torch.optim.AdamW([{"params": decay}, {"params": no_decay, "weight_decay": 0}], weight_decay=0.1)
    """
    for loop in (node for node in source.nodes if isinstance(node, ast.For)):
        scope = source.scope(loop)
        if "parameters" not in source.code(loop.iter) or scope is source.tree:
            continue
        for call in source.calls_in(loop):
            if attribute(call) != "append" or not isinstance(receiver(call), ast.Name):
                continue
            name = last_word(receiver(call))
            read = [
                node
                for node in source.within(scope)
                if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
                if _attribute_of(source, node) != "append"
            ]
            built = any(source.called(each).startswith("torch.optim.") for each in source.calls_in(scope))
            if built and not read:
                yield Found(call, f"no optimizer gets {name}")


def _attribute_of(source: Source, name: ast.Name) -> str:
    """The attribute that is taken of a variable at one of its uses."""
    around = source.parent(name)
    return around.attr if isinstance(around, ast.Attribute) else ""


def frozen_is_optimized(source: Source) -> Iterator[Found]:
    """An optimizer of frozen parameters alone.

    Why: It gets the very part whose gradients are switched off, and the part that should learn is in no optimizer.
    Fix: Give it the parameters that are to be trained.
    Bad:
        import torch
        def build(backbone, head):
            for p in backbone.parameters():
                p.requires_grad = False
            return torch.optim.SGD(backbone.parameters(), lr=0.1)
    Good:
        import torch
        def build(backbone, head):
            for p in backbone.parameters():
                p.requires_grad = False
            return torch.optim.SGD(head.parameters(), lr=0.1)
    """
    for call in source.calls:
        given = call.args[0] if source.called(call).startswith("torch.optim.") and call.args else None
        if not (isinstance(given, ast.Call) and attribute(given) == "parameters"):
            continue
        model = receiver(given)
        scope = source.scope(call)
        replaced = any(
            isinstance(node, ast.Assign) and source.code(node.targets[0]).startswith(f"{source.code(model)}.")
            for node in source.nodes
        )
        thawed = re.search(r"requires_grad_?\s*(=|\()\s*(True|\))", source.text)
        if not replaced and not thawed and any(same(model, each) for each in _frozen(source, scope)):
            yield Found(call, f"the parameters of {source.code(model)} are frozen")


def _frozen(source: Source, scope: ast.AST) -> Iterator[ast.expr]:
    """The models of a function whose parameters are all frozen."""
    for node in source.within(scope):
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and attribute(node.iter) == "parameters":
            (first, *rest) = node.body
            text = source.code(first).replace(" ", "")
            if not rest and text.endswith((".requires_grad=False", ".requires_grad_(False)")):
                yield receiver(node.iter)
        elif isinstance(node, ast.Call) and attribute(node) == "requires_grad_" and node.args:
            if isinstance(node.args[0], ast.Constant) and node.args[0].value is False:
                yield receiver(node)


def fraction_in_integers(source: Source) -> Iterator[Found]:
    """A fraction that is a whole number.

    Why: step // warmup is 0 for every step of the warm-up: the learning rate is 0, then jumps to its peak. In the
    exponent of positions, all frequencies are one.
    Fix: Divide with /.
    Bad:
        def rate(step, warmup, peak):
            return peak * min(1, step // warmup)
    Good:
        def rate(step, warmup, peak):
            return peak * min(1, step / warmup)
    """
    for node in source.nodes:
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.FloorDiv)
            and "warm" in last_word(node.right).lower()
        ):
            fixed = f"{source.code(node.left)} / {source.code(node.right)}"
            yield Found(node, f"it is 0 until {source.code(node.right)}", (replace(source, node, fixed),))
        power = node.right if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) else None
        if isinstance(power, ast.BinOp) and isinstance(power.op, ast.FloorDiv) and isinstance(node, ast.BinOp):
            if isinstance(node.left, ast.Constant) and node.left.value in (10000, 10000.0):
                fixed = f"{source.code(power.left)} / {source.code(power.right)}"
                yield Found(power, "the exponent is a whole number", (replace(source, power, fixed),))


def average_before_step(source: Source) -> Iterator[Found]:
    """An average that lags one step behind.

    Why: It averages the weights of before the step: the last update is never in it, and a resumed run differs.
    Fix: Update the average after the optimizer has stepped.
    Bad:
        def train(model, ema, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                ema.update(model)
                optimizer.step()
    Good:
        def train(model, ema, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
                ema.update(model)
    """
    for each in trainings(source):
        for call in each.calls:
            averages = attribute(call) in ("update", "update_parameters") and "ema" in last_word(receiver(call)).lower()
            if averages and each.steps and each.alongside(call, each.steps[-1]):
                if each.backward.lineno <= call.lineno < each.steps[0].lineno:
                    yield Found(call, f"line {each.steps[0].lineno} changes the weights after it")


RULES = [
    rule(find)
    for find in (
        layer_after_optimizer,
        rate_in_lambda,
        schedule_in_other_units,
        copy_is_trained,
        parameters_left_out,
        frozen_is_optimized,
        fraction_in_integers,
        average_before_step,
    )
]
