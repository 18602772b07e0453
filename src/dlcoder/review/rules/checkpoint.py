"""Rules of checkpoints and of copies of models: what they hold, and whether they are copies at all."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Loop, Source, attribute, keyword, last_word, receiver, same
from dlcoder.review.training import is_scaler, is_scheduler, trainings

_COPY = re.compile(r"(^|_)(ema|teacher|target|momentum|shadow|averaged|old|frozen|ref|reference)(_|$)", re.IGNORECASE)
_KEPT = re.compile(r"(^|_)(init|initial|orig|original|old|prev|previous|start|backup|snapshot)", re.IGNORECASE)
_ACTS = re.compile(r"(q|v|pi|actor|critic|policy|value)\d*$")
"""What agents call their networks."""
_MODEL = re.compile(r"(model|net|network|encoder|policy|student)$", re.IGNORECASE)


def incomplete_checkpoint(source: Source) -> Iterator[Found]:
    """A checkpoint that a run cannot go on from.

    Why: It holds the optimizer, so it is meant for resuming, but not all that has a state: the learning rate or the
    scale starts over, and the curve has a step.
    Fix: Save and restore the state of the schedule, the scaler and the averaged model too.
    Bad:
        import torch
        def save(model, optimizer, scheduler, path):
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
        def step(optimizer, scheduler):
            optimizer.step()
            scheduler.step()
    Good:
        import torch
        def save(model, optimizer, scheduler, path):
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
            }
            torch.save(state, path)
        def step(optimizer, scheduler):
            optimizer.step()
            scheduler.step()
    Reference: https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
    """
    saved = {last_word(receiver(call)) for call in source.calls if attribute(call) == "state_dict"}
    if not any("optim" in word.lower() or word.startswith("opt") for word in saved):
        yield from _resumed_without_optimizer(source)
        return
    if any("sched" in word.lower() for word in saved):
        schedules: set[str] = set()
    else:
        stepped = (receiver(call) for call in source.calls if attribute(call) == "step")
        schedules = {source.code(each) for each in stepped if is_scheduler(source, each)}
    stepped = (receiver(call) for call in source.calls if attribute(call) == "update")
    scalers = {source.code(each) for each in stepped if is_scaler(source, each)}
    scalers = set() if any("scaler" in word.lower() for word in saved) else scalers
    averages = {source.code(each) for each in _averages(source)}
    averages = set() if any(re.search("ema|avg|averag|swa", word.lower()) for word in saved) else averages
    missing = sorted(schedules | scalers | averages)
    for call in source.calls:
        if missing and source.called(call) == "torch.save" and call.args:
            value = source.origin(call.args[0])
            if isinstance(value, ast.Dict | ast.Call) and "optim" in ast.dump(value):
                yield Found(call, f"the state of {' and of '.join(missing)} is never saved")
                return


def _averages(source: Source) -> Iterator[ast.expr]:
    """The averaged models that a training moves along."""
    for call in source.calls if trainings(source) else ():
        if attribute(call) in ("update", "update_parameters"):
            averaged = receiver(call)
            if source.is_a(averaged, "EMA", "Ema", "AveragedModel") or re.search(r"(^|_)ema(_|$)", last_word(averaged)):
                yield averaged


def _resumed_without_optimizer(source: Source) -> Iterator[Found]:
    """Checkpoints of a model and its epoch alone, where the training goes on from that epoch."""
    optimizers = sorted({source.code(receiver(step)) for each in trainings(source) for step in each.steps})
    resumed = any(
        isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_position(node.slice)
        for node in source.nodes
    )
    if not optimizers or not resumed or not re.search("resume|restore|start", source.text, re.IGNORECASE):
        return
    for call in source.calls:
        state = source.origin(call.args[0]) if source.called(call) == "torch.save" and call.args else None
        if isinstance(state, ast.Dict) and any(key is not None and _is_position(key) for key in state.keys):
            if any(_is_state(value) for value in state.values):
                yield Found(call, f"the state of {' and of '.join(optimizers)} is never saved")
                return


def _is_position(key: ast.expr) -> bool:
    return isinstance(key, ast.Constant) and key.value in ("epoch", "step", "iteration", "iter", "global_step")


def saved_never_restored(source: Source) -> Iterator[Found]:
    """A state that is saved and never read back.

    Why: The run resumes without it: the momentum, the learning rate, the scale or the order of the data starts over.
    Fix: Restore it beside the others.
    Bad:
        import torch
        def save(model, optimizer, path):
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
        def resume(model, optimizer, path):
            state = torch.load(path, weights_only=True)
            model.load_state_dict(state["model"])
    Good:
        import torch
        def save(model, optimizer, path):
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
        def resume(model, optimizer, path):
            state = torch.load(path, weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
    """
    loads = any(source.called(call) == "torch.load" for call in source.calls)
    if not loads or not re.search("resume|restore", source.text, re.IGNORECASE):
        return
    for saved in (node for node in source.nodes if isinstance(node, ast.Dict)):
        states = {
            key.value: value
            for key, value in zip(saved.keys, saved.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_state(value)
        }
        if len(states) < 2 or "optim" not in " ".join(states) or _restored_in_a_loop(source):
            continue
        for key, value in states.items():
            if source.around.count(f'"{key}"') + source.around.count(f"'{key}'") == 1:
                yield Found(value, f"nothing reads {key!r} back")


def _is_state(value: ast.expr) -> bool:
    readers = {"state_dict", "get_rng_state", "get_rng_state_all", "getstate", "get_state"}
    return any(attribute(call) in readers for call in ast.walk(value) if isinstance(call, ast.Call))


def _restored_in_a_loop(source: Source) -> bool:
    """Whether all parts of a checkpoint are restored by one line: `for name, part in parts.items()`."""
    return any(
        isinstance(node, ast.For) and any(attribute(call) == "load_state_dict" for call in source.calls_in(node))
        for node in source.nodes
    )


def never_stepped(source: Source) -> Iterator[Found]:
    """A schedule or an average that stands still.

    Why: It is built, perhaps saved and logged, and nothing moves it: the learning rate stays at its start, the averaged
    weights stay the initial ones.
    Fix: Step it, or remove it.
    Bad:
        import torch
        def train(model, loader, optimizer, criterion):
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
    Good:
        import torch
        def train(model, loader, optimizer, criterion):
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
                scheduler.step()
    """
    if not trainings(source):
        return
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call)):
            continue
        name, made = last_word(node.targets[0]), source.called(node.value)
        schedule = "lr_scheduler." in made
        average = bool(re.search(r"(EMA|Ema|ExponentialMovingAverage|AveragedModel)$", made))
        if not name or not (schedule or average):
            continue
        moves = ("step",) if schedule else ("step", "update", "update_parameters")
        moved = any(attribute(call) in moves and last_word(receiver(call)) == name for call in source.calls)
        if not moved and not _handed_on(source, name):
            yield Found(node, f"nothing calls {name}.{moves[-1]}()")


def _handed_on(source: Source, name: str) -> bool:
    """Whether something else gets hold of an object: as an argument, in a container or as a result."""
    return any(
        last_word(node) == name
        and isinstance(getattr(node, "ctx", None), ast.Load)
        and not isinstance(source.parent(node), ast.Attribute)
        for node in source.nodes
    )


def best_state_is_alias(source: Source) -> Iterator[Found]:
    """Weights that are kept by reference.

    Why: state_dict() returns the tensors that go on being trained: at the end, the best weights are the last ones, and
    the initial ones the trained.
    Fix: Copy them: copy.deepcopy(model.state_dict()), or save them to a file.
    Bad:
        def fit(model, epochs, train, score):
            best = 0
            for epoch in range(epochs):
                train(model)
                if score(model) > best:
                    best = score(model)
                    best_state = model.state_dict()
            model.load_state_dict(best_state)
    Good:
        import copy
        def fit(model, epochs, train, score):
            best = 0
            for epoch in range(epochs):
                train(model)
                if score(model) > best:
                    best = score(model)
                    best_state = copy.deepcopy(model.state_dict())
            model.load_state_dict(best_state)
    Reference: https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
    """
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        name = last_word(node.targets[0])
        looped = any(isinstance(outer, Loop) for outer in source.parents(node)) or _is_attribute(node.targets[0])
        kept = ("best" in name and looped) or (_KEPT.search(name) and _loaded_below(source, node))
        if attribute(node.value) == "state_dict" and kept and not _saved_at_once(source, node):
            fixed = f"copy.deepcopy({source.code(node.value)})"
            yield Found(
                node,
                f"{last_word(node.targets[0])} is no copy: it changes with every step",
                (replace(source, node.value, fixed, "copy"),),
            )


def _loaded_below(source: Source, node: ast.Assign) -> bool:
    """Whether what was kept is loaded into a model again, after a training."""
    end = node.end_lineno or node.lineno
    return any(
        attribute(call) == "load_state_dict"
        and call.args
        and call.lineno > end
        and same(call.args[0], _loads(node.targets[0]))
        and any(end < each.backward.lineno < call.lineno for each in trainings(source))
        for call in source.calls
    )


def _loads(target: ast.expr) -> ast.expr:
    """A target of an assignment as it is read."""
    return ast.parse(ast.unparse(target), mode="eval").body


def _is_attribute(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute)


def _saved_at_once(source: Source, node: ast.Assign) -> bool:
    """Whether the next statements of the block write it to a file."""
    name = last_word(node.targets[0])
    block = source.parent(node)
    for field in ("body", "orelse", "finalbody"):
        statements = getattr(block, field, [])
        if node in statements:
            later = statements[statements.index(node) + 1 :]
            return any(
                isinstance(call, ast.Call)
                and source.called(call).endswith(("torch.save", "save_file"))
                and any(last_word(word) == name for word in ast.walk(call))
                for statement in later
                for call in ast.walk(statement)
            )
    return False


def copy_is_alias(source: Source) -> Iterator[Found]:
    """A second model that is the first one.

    Why: Assignment makes no copy: averaging, freezing or loading one of them does it to both.
    Fix: copy.deepcopy the model.
    Bad:
        def build(model):
            ema_model = model
            ema_model.requires_grad_(False)
            return model, ema_model
    Good:
        import copy
        def build(model):
            ema_model = copy.deepcopy(model)
            ema_model.requires_grad_(False)
            return model, ema_model
    """
    for node in source.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Name | ast.Attribute):
            target, value = last_word(node.targets[0]), last_word(node.value)
            named = _COPY.search(target) and _MODEL.search(target) and not _COPY.search(value)
            named = bool(named) and bool(_MODEL.search(value))
            twin = _ACTS.match(value) and target in (
                f"{value}_target",
                f"target_{value}",
                f"{value}_ema",
                f"ema_{value}",
            )
            if (named or twin) and isinstance(node.value.ctx, ast.Load) and not _is_parameter(source, node, target):
                fixed = f"copy.deepcopy({source.code(node.value)})"
                yield Found(node, f"{target} and {value} are one model", (replace(source, node.value, fixed, "copy"),))


def _is_parameter(source: Source, node: ast.Assign, target: str) -> bool:
    """Whether a constructor merely keeps what it was given, under the same name."""
    return last_word(node.value) == target


def ema_without_buffers(source: Source) -> Iterator[Found]:
    """An average that leaves out the buffers.

    Why: Batch norm's running statistics stay those of the first step: the averaged model is evaluated with statistics
    that belong to other weights.
    Fix: Average or copy the buffers too, or go through state_dict().
    Bad:
        import torch
        @torch.no_grad()
        def update_ema(ema_model, model, decay):
            for averaged, current in zip(ema_model.parameters(), model.parameters()):
                averaged.mul_(decay).add_(current, alpha=1 - decay)
    Good:
        import torch
        @torch.no_grad()
        def update_ema(ema_model, model, decay):
            for averaged, current in zip(ema_model.parameters(), model.parameters()):
                averaged.mul_(decay).add_(current, alpha=1 - decay)
            for averaged, current in zip(ema_model.buffers(), model.buffers()):
                averaged.copy_(current)
    """
    for node in source.nodes:
        if not (isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and source.called(node.iter) == "zip"):
            continue
        zipped = [each for each in node.iter.args if isinstance(each, ast.Call)]
        if len(zipped) < 2 or any(attribute(each) not in ("parameters", "named_parameters") for each in zipped):
            continue
        blended = any(attribute(call) in ("mul_", "lerp_") for call in ast.walk(node) if isinstance(call, ast.Call))
        if not blended and "decay" not in ast.dump(node):
            continue
        scope = source.scope(node)
        around = f"{source.names_around(node)} {source.code(node.iter)}"
        others = any(attribute(call) in ("buffers", "named_buffers", "state_dict") for call in source.calls_in(scope))
        if re.search(r"ema|averag|shadow", around, re.IGNORECASE) and not others:
            yield Found(node, "it averages the parameters, and leaves batch norm's statistics behind")
    if source.mentions("update_bn|use_buffers") or not source.mentions("BatchNorm|resnet"):
        return
    for call in source.calls:
        if source.called(call).endswith("swa_utils.AveragedModel"):
            yield Found(call, "it averages the parameters alone, unless use_buffers=True")


def unsafe_load(source: Source) -> Iterator[Found]:
    """A checkpoint loaded as a program.

    Why: With weights_only=False the file may run any code while it is read.
    Fix: Load with weights_only=True; save tensors and plain values only.
    Bad:
        import torch
        def load(path):
            return torch.load(path, weights_only=False)
    Good:
        import torch
        def load(path):
            return torch.load(path, weights_only=True)
    Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only
    """
    for call in source.calls:
        if source.called(call) == "torch.load":
            given = keyword(call, "weights_only")
            if isinstance(given, ast.Constant) and given.value is False:
                yield Found(call, "the file may run any code while it is read", (replace(source, given, "True"),))


RULES = [
    rule(find)
    for find in (
        incomplete_checkpoint,
        saved_never_restored,
        never_stepped,
        best_state_is_alias,
        copy_is_alias,
        ema_without_buffers,
        unsafe_load,
    )
]
