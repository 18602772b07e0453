"""Rules of statements that have no effect: methods not called, results thrown away, names that mean something else."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Source, attribute, keyword, last_word, receiver
from dlcoder.review.training import is_optimizer

_METHODS = {"backward", "eval", "step", "train", "update", "zero_grad"}
_RETURNS_NEW = {
    "clamp",
    "contiguous",
    "detach",
    "flatten",
    "log_softmax",
    "masked_fill",
    "permute",
    "reshape",
    "sigmoid",
    "softmax",
    "squeeze",
    "transpose",
    "unsqueeze",
    "view",
}
"""Methods of tensors that change nothing in place."""
_MOVES = {"to", "cuda", "cpu", "float", "half", "bfloat16", "double", "long"}
_PART = re.compile(
    r"^(model|net|network|backbone|(image_|text_)?encoder|decoder|features|classifier|layer\d*|fc\d*|teacher|student|"
    r"generator|discriminator|bert|vit|resnet|unet|vae)$"
)
"""What parts of models are called, and tensors are not."""


def method_not_called(source: Source) -> Iterator[Found]:
    """A method that is named and not called.

    Why: Without parentheses the line does nothing: no step, no evaluation mode, no cleared gradients.
    Fix: Add the parentheses.
    Bad:
        def evaluate(model, x):
            model.eval
            return model(x)
    Good:
        def evaluate(model, x):
            model.eval()
            return model(x)
    """
    for node in source.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Attribute) and node.value.attr in _METHODS:
            name = source.code(node.value)
            yield Found(node, f"{name} is not called", (replace(source, node.value, f"{name}()"),))


def result_discarded(source: Source) -> Iterator[Found]:
    """A tensor's new version, thrown away.

    Why: These methods return a tensor and leave theirs as it is: the line has no effect.
    Fix: Assign the result.
    Bad:
        def train(model, loader, device):
            for images, labels in loader:
                images.to(device)
                model(images)
    Good:
        def train(model, loader, device):
            for images, labels in loader:
                images = images.to(device)
                model(images)
    """
    for node in source.nodes:
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
            continue
        call = node.value
        if not isinstance(call.func, ast.Attribute) or not isinstance(receiver(call), ast.Name):
            continue
        tensor = last_word(receiver(call))
        if tensor in source.imported or tensor in source.classes:
            continue
        shaped = attribute(call) in _RETURNS_NEW and not keyword(call, "out", "inplace")
        if shaped or (attribute(call) in _MOVES and _is_batch(source, node, tensor)):
            fixed = f"{tensor} = {source.code(call)}"
            yield Found(node, f"{attribute(call)} leaves {tensor} as it is", (replace(source, node, fixed),))


def _is_batch(source: Source, node: ast.AST, name: str) -> bool:
    """Whether a name is a tensor that a loop over a loader unpacks. A batch as a whole may move itself in place."""
    if "batch" in name:
        return False
    for outer in source.parents(node):
        if isinstance(outer, ast.For) and isinstance(outer.target, ast.Tuple):
            if any(last_word(each) == name for each in ast.walk(outer.target)):
                return bool(re.search(r"load|batch|(^|_)dl\b|data", source.code(outer.iter)))
    return False


def parameter_rebound(source: Source) -> Iterator[Found]:
    """A loop that gives its own variable a new value.

    Why: The name then stands for another tensor: the model's parameter is as before.
    Fix: Change it in place, under torch.no_grad(): p.add_(...), p.copy_(...).
    Bad:
        import torch
        def perturb(model, scale):
            for p in model.parameters():
                p = p + scale * torch.randn_like(p)
    Good:
        import torch
        @torch.no_grad()
        def perturb(model, scale):
            for p in model.parameters():
                p.add_(scale * torch.randn_like(p))
    """
    for loop in (node for node in source.nodes if isinstance(node, ast.For)):
        if not re.search(r"(parameters|buffers)\(", source.code(loop.iter)):
            continue
        names = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
        for node in loop.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                computed = isinstance(node.value, ast.BinOp) and any(
                    last_word(each) == name for each in ast.walk(node.value)
                )
                used = any(
                    isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load)
                    for later in loop.body[loop.body.index(node) + 1 :]
                    for each in ast.walk(later)
                )
                if name in names and computed and not used:
                    yield Found(node, f"{name} becomes another tensor, and the model keeps the old one")


def no_such_switch(source: Source) -> Iterator[Found]:
    """An attribute that nothing reads.

    Why: Python lets anything be assigned: a misspelled requires_grad, or one set on a module, freezes nothing, and a
    learning rate set on an optimizer changes nothing.
    Fix: Call module.requires_grad_(False), or set requires_grad of each parameter; set group["lr"] of param_groups.
    Bad:
        def freeze(model):
            model.backbone.requires_grad = False
    Good:
        def freeze(model):
            model.backbone.requires_grad_(False)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
    """
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute)):
            continue
        target = node.targets[0]
        if re.fullmatch(r"require_grads?|requires_grads|required?s?_gradients?|requires_gradient", target.attr):
            yield Found(node, f"nothing reads {target.attr}: the switch is requires_grad")
        elif target.attr in ("lr", "learning_rate", "weight_decay") and is_optimizer(source, target.value):
            yield Found(node, f"an optimizer reads its {target.attr} from param_groups")
        elif target.attr == "requires_grad" and _is_part(source, target.value):
            module = source.code(target.value)
            fixed = f"{module}.requires_grad_({source.code(node.value)})"
            yield Found(node, f"{module} is a module, whose parameters keep theirs", (replace(source, node, fixed),))


def _is_part(source: Source, node: ast.expr) -> bool:
    """Whether a variable holds a module, by what made it or by its name."""
    made = {each for each in source.made_by(node) if each not in ("?", "")}
    if made:
        return all(
            (each.startswith("torch.nn.") and each.count(".") == 2 and each != "torch.nn.Parameter")
            or (each in source.classes and source.is_module(source.classes[each]))
            for each in made
        )
    looped = any(
        isinstance(outer, ast.For) and "parameters" in source.code(outer.iter) for outer in source.parents(node)
    )
    return bool(_PART.match(last_word(node))) and not looped


def method_as_flag(source: Source) -> Iterator[Found]:
    """A method taken for a flag.

    Why: self.train is a method and always true: the branch for training is taken in evaluation too.
    Fix: Ask self.training.
    Bad:
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                if self.train:
                    x = x + 1
                return x
    Good:
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                if self.training:
                    x = x + 1
                return x
    """
    for owner in source.classes.values():
        if not source.is_module(owner) or _has_attribute(owner, "train"):
            continue
        for node in ast.walk(owner):
            if not (isinstance(node, ast.Attribute) and node.attr == "train" and last_word(node.value) == "self"):
                continue
            around = source.parent(node)
            tested = isinstance(around, ast.If | ast.IfExp) and around.test is node
            negated = isinstance(around, ast.UnaryOp | ast.BoolOp)
            given = isinstance(around, ast.keyword) and around.arg == "training"
            if tested or negated or given:
                yield Found(node, "self.train is a method", (replace(source, node, "self.training"),))


def _has_attribute(owner: ast.ClassDef, name: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Store)
        for node in ast.walk(owner)
    )


def seeded_in_loop(source: Source) -> Iterator[Found]:
    """A seed set anew at every pass.

    Why: Dropout, noise and augmentation are the same at every step: the model sees one draw of them for ever.
    Fix: Seed once, before the loop, or mix the position into the seed.
    Bad:
        import torch
        def train(loader, step):
            for batch in loader:
                torch.manual_seed(0)
                step(batch)
    Good:
        import torch
        def train(loader, step):
            torch.manual_seed(0)
            for batch in loader:
                step(batch)
    """
    for call in source.calls:
        if source.called(call) not in ("torch.manual_seed", "torch.cuda.manual_seed_all", "numpy.random.seed"):
            continue
        for outer in source.up_to(call, source.scope(call)):
            over = source.code(outer.iter) if isinstance(outer, ast.For) else ""
            if re.search(r"load|batch|(^|_)dl\b|epoch|range\(", over) and not _varies(source, call, outer):
                yield Found(call, f"every pass of line {outer.lineno} draws the same")  # type: ignore[attr-defined]
                break


def _varies(source: Source, call: ast.Call, loop: ast.AST) -> bool:
    """Whether a seed is another one at every pass, as far as the loop shows: it is no constant, or no setting."""
    seed = call.args[0] if call.args else None
    if isinstance(seed, ast.Constant):
        return False
    changed = {each.id for each in ast.walk(loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return seed is None or not isinstance(seed, ast.Name | ast.Attribute) or last_word(seed) in changed


RULES = [
    rule(find)
    for find in (
        method_not_called,
        result_discarded,
        parameter_rebound,
        no_such_switch,
        method_as_flag,
        seeded_in_loop,
    )
]
