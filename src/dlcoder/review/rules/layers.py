"""Rules of layers: which are made where, and with which numbers."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, rule
from dlcoder.review.rules.modules import initialized
from dlcoder.review.source import Source, argument, attribute, keyword, last_word, receiver

_CONTAINERS = ("nn.ModuleList", "nn.Sequential")
_WITH_STATE = re.compile(
    r"torch\.nn\.(Linear|Bilinear|Conv|LazyLinear|LazyConv|BatchNorm|LayerNorm|GroupNorm|Embedding|LSTM|GRU|RNN)"
)
_TRAINED = r"torch\.nn\.(Parameter$|Linear|Conv|BatchNorm|LayerNorm|GroupNorm|Embedding|LSTM|GRU|MultiheadAttention)"
_BY_MODE = re.compile(r"torch\.nn\.(Alpha|Feature)?Dropout")


def layer_made_in_forward(source: Source) -> Iterator[Found]:
    """A layer made at every call.

    Why: It is new each time: its weights are random and never trained, and it does not know of model.eval().
    Fix: Make it in __init__ and call it in forward.
    Bad:
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                return nn.Dropout(0.5)(x)
    Good:
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.dropout = nn.Dropout(0.5)
            def forward(self, x):
                return self.dropout(x)
    """
    for owner in source.classes.values():
        forward = source.method(owner, "forward")
        if forward is None or not source.is_module(owner):
            continue
        for call in source.calls_in(forward):
            name = source.called(call)
            if _kept(source, call) or not (_WITH_STATE.match(name) or _BY_MODE.match(name)):
                continue
            what = "trained" if _WITH_STATE.match(name) else "turned off by eval()"
            yield Found(call, f"this {last_word(call.func)} is made anew at every call, and never {what}")


def _kept(source: Source, call: ast.Call) -> bool:
    """Whether forward keeps a layer that it makes: `self.head = nn.Linear(...)`, once the size is known."""
    statement = source.statement(call)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(each, ast.Attribute | ast.Subscript) for each in targets)


def layers_are_one(source: Source) -> Iterator[Found]:
    """One layer, many times.

    Why: Multiplying a list repeats the same object: all layers share one set of weights.
    Fix: Make each of them: [Layer() for _ in range(n)].
    Bad:
        from torch import nn
        def build(width, depth):
            return nn.Sequential(*[nn.Linear(width, width)] * depth)
    Good:
        from torch import nn
        def build(width, depth):
            return nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])
    """
    for call in source.calls:
        if not source.called(call).endswith(_CONTAINERS):
            continue
        for given in call.args:
            repeated = source.origin(given.value if isinstance(given, ast.Starred) else given)
            if isinstance(repeated, ast.BinOp) and isinstance(repeated.op, ast.Mult):
                layers = next((each for each in (repeated.left, repeated.right) if isinstance(each, ast.List)), None)
                if layers is not None and any(isinstance(each, ast.Call) for each in layers.elts):
                    yield Found(repeated, "these are one layer, not several")


def part_never_used(source: Source) -> Iterator[Found]:
    """A part of a model that no method uses.

    Why: It is trained by nobody and changes nothing: a position embedding that is never added, a second norm in whose
    place the first is called again. DistributedDataParallel fails on it.
    Fix: Use it in forward, or remove it.
    Bad:
        import torch
        from torch import nn
        class Net(nn.Module):
            def __init__(self, width, length):
                super().__init__()
                self.position = nn.Parameter(torch.zeros(length, width))
                self.head = nn.Linear(width, 10)
            def forward(self, x):
                return self.head(x)
    Good:
        import torch
        from torch import nn
        class Net(nn.Module):
            def __init__(self, width, length):
                super().__init__()
                self.position = nn.Parameter(torch.zeros(length, width))
                self.head = nn.Linear(width, 10)
            def forward(self, x):
                return self.head(x + self.position)
    """
    for owner, _init, node, name in initialized(source):
        trained = isinstance(node.value, ast.Call) and re.match(_TRAINED, source.called(node.value))
        if trained and source.method(owner, "forward") and not _walks_parts(owner):
            if source.times_named(name) == 1:
                yield Found(node, f"nothing uses self.{name}")


def _walks_parts(owner: ast.ClassDef) -> bool:
    """Whether a class gets at its parts by other ways than their names."""
    ways = {"children", "modules", "named_children", "named_modules", "_modules", "getattr", "__dict__", "parameters"}
    return any(last_word(node) in ways for node in ast.walk(owner))


def parameter_moved(source: Source) -> Iterator[Found]:
    """A parameter that is none.

    Why: .to() and .cuda() of a parameter return a plain tensor where they copy: the module does not know it, and no
    optimizer trains it.
    Fix: Make the tensor there first: nn.Parameter(torch.zeros(8, device=device)).
    Bad:
        import torch
        from torch import nn
        class Prompt(nn.Module):
            def __init__(self, width, device):
                super().__init__()
                self.tokens = nn.Parameter(torch.zeros(width)).to(device)
            def forward(self, x):
                return x + self.tokens
    Good:
        import torch
        from torch import nn
        class Prompt(nn.Module):
            def __init__(self, width, device):
                super().__init__()
                self.tokens = nn.Parameter(torch.zeros(width, device=device))
            def forward(self, x):
                return x + self.tokens
    """
    for call in source.calls:
        moved = attribute(call) in ("to", "cuda", "half", "bfloat16", "double", "float")
        made = receiver(call) if moved else None
        statement = source.statement(call)
        kept = isinstance(statement, ast.Assign) and last_word(getattr(statement.targets[0], "value", call)) == "self"
        if kept and isinstance(made, ast.Call) and source.called(made) == "torch.nn.Parameter":
            yield Found(call, f"what {attribute(call)}() returns is no parameter")


def keep_probability(source: Source) -> Iterator[Found]:
    """A dropout that keeps what it should drop.

    Why: Dropout takes the probability of dropping: given 0.9 to keep, it drops nine in ten.
    Fix: Pass 1 minus the probability of keeping.
    Bad:
        from torch import nn
        def build(keep_prob):
            return nn.Dropout(keep_prob)
    Good:
        from torch import nn
        def build(keep_prob):
            return nn.Dropout(1 - keep_prob)
    """
    for call in source.calls:
        name = source.called(call)
        if name.startswith("torch.nn.") and "dropout" in name.lower():
            given = argument(call, int(".functional." in name), "p")
            if given is not None and re.search(r"(^|_)keep", last_word(given)):
                yield Found(call, f"{last_word(given)} is taken for the probability of dropping")


def batch_norm_momentum(source: Source) -> Iterator[Found]:
    """A momentum of another library.

    Why: Here momentum is the weight of the new batch, elsewhere that of the old average: 0.99 makes the running
    statistics those of the last batch, and evaluation noisy.
    Fix: Pass 1 minus the other library's value: 0.01 for 0.99.
    Bad:
        from torch import nn
        def build():
            return nn.BatchNorm2d(64, momentum=0.99)
    Good:
        from torch import nn
        def build():
            return nn.BatchNorm2d(64, momentum=0.01)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    """
    for call in source.calls:
        given = keyword(call, "momentum")
        if re.search(r"nn\.(Sync)?BatchNorm", source.called(call)) and isinstance(given, ast.Constant):
            if isinstance(given.value, float) and 0.9 <= given.value < 1:
                yield Found(call, f"the running statistics forget {given.value:g} of what they were at every batch")


RULES = [
    rule(find)
    for find in (
        layer_made_in_forward,
        layers_are_one,
        part_never_used,
        parameter_moved,
        keep_probability,
        batch_norm_momentum,
    )
]
