"""Rules of modules: what `nn.Module` must know of, and what depends on the mode."""

import ast
from collections.abc import Iterator

from dlcoder.review.rule import Found, give, replace, rule
from dlcoder.review.source import Function, Source, argument, attribute, keyword, last_word, receiver, unpacks

_OF_AN_INTERFACE = {"device", "dtype", "config", "layer_idx", "layer_id", "args"}
"""Arguments that modules often take only because their neighbors do."""
_MAKES_TENSOR = {
    "zeros",
    "ones",
    "arange",
    "tril",
    "triu",
    "linspace",
    "tensor",
    "eye",
    "full",
    "randn",
    "rand",
    "empty",
}


def initialized(source: Source) -> Iterator[tuple[ast.ClassDef, Function, ast.Assign, str]]:
    """What modules assign to attributes of themselves in `__init__`."""
    for owner in source.classes.values():
        init = source.method(owner, "__init__")
        if init is None or not source.is_module(owner):
            continue
        for node in source.within(init):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                target = node.targets[0]
                if isinstance(target, ast.Attribute) and last_word(target.value) == "self":
                    yield owner, init, node, target.attr


def _makes_module(source: Source, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = source.called(node)
    if name.startswith("torch.nn.") and name.count(".") == 2:
        last = name.rpartition(".")[2]
        return last[:1].isupper() and last not in ("Parameter", "Module")
    return name in source.classes and source.is_module(source.classes[name])


def modules_in_plain_list(source: Source) -> Iterator[Found]:
    """Layers in a Python list or dict.

    Why: Their parameters are unknown to the module: the optimizer does not train them, `.to()` does not move them, and
    the checkpoint does not hold them.
    Fix: Use nn.ModuleList or nn.ModuleDict.
    Bad:
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(8, 8) for _ in range(3)]
            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x
    Good:
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
    """
    for owner, init, node, name in initialized(source):
        value = node.value
        kind = "ModuleDict" if isinstance(value, ast.Dict | ast.DictComp) else "ModuleList"
        if not _holds_modules(source, value) and not _appended(source, init, value, name):
            continue
        if _registered_elsewhere(source, owner, name):
            continue
        nn = next((word for word, meant in source.imported.items() if meant == "torch.nn"), "torch.nn")
        text = f"{nn}.{kind}({source.code(value)})"
        yield Found(
            node, f"{owner.name} does not know the layers of self.{name}", (replace(source, value, text, "torch"),)
        )


def _holds_modules(source: Source, value: ast.AST) -> bool:
    if isinstance(value, ast.List | ast.Tuple):
        return bool(value.elts) and all(_makes_module(source, each) for each in value.elts)
    if isinstance(value, ast.ListComp):
        return _makes_module(source, value.elt)
    if isinstance(value, ast.Dict):
        return bool(value.values) and all(_makes_module(source, each) for each in value.values)
    return isinstance(value, ast.DictComp) and _makes_module(source, value.value)


def _appended(source: Source, init: Function, value: ast.AST, name: str) -> bool:
    """Whether an empty list or dict is filled with layers later on."""
    if isinstance(value, ast.Dict) and not value.keys:
        return any(
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Subscript)
            and last_word(node.targets[0].value) == name
            and _makes_module(source, node.value)
            for node in source.within(init)
        )
    if not (isinstance(value, ast.List) and not value.elts):
        return False
    return any(
        attribute(call) == "append"
        and last_word(receiver(call)) == name
        and len(call.args) == 1
        and _makes_module(source, call.args[0])
        for call in source.calls_in(init)
    )


def _registered_elsewhere(source: Source, owner: ast.ClassDef, name: str) -> bool:
    """Whether the list is handed to something that registers its layers."""
    for call in (node for node in ast.walk(owner) if isinstance(node, ast.Call)):
        registers = (
            source.called(call).endswith(("Sequential", "ModuleList", "ModuleDict")) or attribute(call) == "add_module"
        )
        if registers and any(last_word(word) == name for given in call.args for word in ast.walk(given)):
            return True
    return any(attribute(call) == "add_module" for call in ast.walk(owner) if isinstance(call, ast.Call))


def tensor_not_registered(source: Source) -> Iterator[Found]:
    """A tensor that the module does not know of.

    Why: `.to("cuda")` leaves it behind, and the checkpoint does not hold it.
    Fix: Register it as a buffer; persistent=False where it can be computed anew.
    Bad:
        import torch
        from torch import nn
        class Causal(nn.Module):
            def __init__(self, length):
                super().__init__()
                self.mask = torch.tril(torch.ones(length, length))
            def forward(self, scores):
                return scores.masked_fill(self.mask == 0, float("-inf"))
    Good:
        import torch
        from torch import nn
        class Causal(nn.Module):
            def __init__(self, length):
                super().__init__()
                self.register_buffer("mask", torch.tril(torch.ones(length, length)))
            def forward(self, scores):
                return scores.masked_fill(self.mask == 0, float("-inf"))
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """
    for owner, _init, node, name in initialized(source):
        if not isinstance(node.value, ast.Call) or not _makes_tensor(source, node.value):
            continue
        if not _is_used(source, owner, name):
            continue
        if _wants_gradient(source, node.value):
            continue
        text = f'self.register_buffer("{name}", {source.code(node.value)})'
        yield Found(node, f"{owner.name} does not know self.{name}", (replace(source, node, text),))


def tensor_is_no_parameter(source: Source) -> Iterator[Found]:
    """A weight that is no parameter.

    Why: `requires_grad` gives it a gradient, but the optimizer gets `model.parameters()` and never trains it.
    Fix: Wrap it in nn.Parameter.
    Bad:
        import torch
        from torch import nn
        class Scale(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.scale = torch.ones(width, requires_grad=True)
            def forward(self, x):
                return x * self.scale
    Good:
        import torch
        from torch import nn
        class Scale(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.scale = nn.Parameter(torch.ones(width))
            def forward(self, x):
                return x * self.scale
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
    """
    for owner, _init, node, name in initialized(source):
        if (
            isinstance(node.value, ast.Call)
            and _makes_tensor(source, node.value)
            and _wants_gradient(source, node.value)
        ):
            text = f"torch.nn.Parameter({source.code(node.value)})"
            yield Found(
                node,
                f"no optimizer of {owner.name}.parameters() trains self.{name}",
                (replace(source, node.value, text, "torch"),),
            )


def _makes_tensor(source: Source, call: ast.Call) -> bool:
    """Whether a call makes a tensor, perhaps changed by methods: `torch.ones(3).requires_grad_()`."""
    while isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        if attribute(call) in ("numpy", "tolist", "item"):
            return False
        call = call.func.value
    name = source.called(call)
    return name.startswith("torch.") and name.removeprefix("torch.") in _MAKES_TENSOR


def _wants_gradient(source: Source, call: ast.Call) -> bool:
    if attribute(call) == "requires_grad_":
        return True
    given = keyword(call, "requires_grad")
    return isinstance(given, ast.Constant) and given.value is True


def _is_used(source: Source, owner: ast.ClassDef, name: str) -> bool:
    """Whether a method reads the attribute as a tensor, without moving it to a device itself."""
    reads = [
        node
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.ctx, ast.Load)
        and last_word(node.value) == "self"
        and getattr(source.scope(node), "name", "") != "__init__"
    ]
    moved = any(
        isinstance(source.parent(node), ast.Attribute)
        and source.parent(node).attr in ("to", "cuda", "device", "type_as")  # type: ignore[attr-defined]
        for node in reads
    )
    return bool(reads) and not moved


def dropout_always_on(source: Source) -> Iterator[Found]:
    """A functional dropout that ignores the mode.

    Why: F.dropout has training=True by default: model.eval() does not turn it off, and predictions are random.
    Fix: Pass training=self.training, or use nn.Dropout.
    Bad:
        import torch.nn.functional as F
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                return F.dropout(x, 0.5)
    Good:
        import torch.nn.functional as F
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                return F.dropout(x, 0.5, training=self.training)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html
    """
    for call in source.calls:
        name = source.called(call)
        if name.startswith("torch.nn.functional.") and "dropout" in name and argument(call, 2, "training") is None:
            if unpacks(call):
                continue
            edits = (give(source, call, "training=self.training"),) if source.is_module(source.owner(call)) else ()
            yield Found(call, "it drops in evaluation too", edits)


def argument_without_effect(source: Source) -> Iterator[Found]:
    """An argument of a module that nothing reads.

    Why: Models built with different values are the same model: whoever sets it measures noise.
    Fix: Use it, or remove it.
    Bad:
        from torch import nn
        class Net(nn.Module):
            def __init__(self, width, dropout=0.1):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(8, width), nn.Dropout(0.1))
            def forward(self, x):
                return self.body(x)
    Good:
        from torch import nn
        class Net(nn.Module):
            def __init__(self, width, dropout=0.1):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(8, width), nn.Dropout(dropout))
            def forward(self, x):
                return self.body(x)
    """
    for owner in source.classes.values():
        init = source.method(owner, "__init__")
        if init is None or not source.is_module(owner) or not source.method(owner, "forward"):
            continue
        read = {node.id for node in ast.walk(init) if isinstance(node, ast.Name)}
        hyperparameters = any(attribute(call) == "save_hyperparameters" for call in source.calls_in(init))
        if hyperparameters or read & {"locals", "vars"}:
            continue
        for given in [*init.args.args[1:], *init.args.kwonlyargs]:
            if given.arg not in read | _OF_AN_INTERFACE and not given.arg.startswith("_"):
                yield Found(init, f"nothing reads {given.arg} of {owner.name}")


def softmax_without_dim(source: Source) -> Iterator[Found]:
    """A softmax over a dimension that is guessed.

    Why: Without dim, softmax takes dimension 0 of tensors with 0, 1 or 3 dimensions: for (B, T, C) it mixes the samples
    of a batch.
    Fix: Name the dimension.
    Bad:
        import torch.nn.functional as F
        def probabilities(logits):
            return F.softmax(logits)
    Good:
        import torch.nn.functional as F
        def probabilities(logits):
            return F.softmax(logits, dim=-1)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html
    """
    functions = ("nn.functional.softmax", "nn.functional.log_softmax")
    for call in source.calls:
        name = source.called(call)
        is_function, is_class = name.endswith(functions), name.endswith(("nn.Softmax", "nn.LogSoftmax"))
        if ((is_function and len(call.args) == 1) or (is_class and not call.args)) and keyword(call, "dim") is None:
            if not unpacks(call):
                yield Found(call, "it chooses the dimension by the number of dimensions")


RULES = [
    rule(find)
    for find in (
        modules_in_plain_list,
        tensor_not_registered,
        tensor_is_no_parameter,
        dropout_always_on,
        argument_without_effect,
        softmax_without_dim,
    )
]
