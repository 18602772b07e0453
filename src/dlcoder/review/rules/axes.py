"""Rules of axes and masks: what a dimension means, and what a mask leaves out."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Source, argument, attribute, keyword, last_word, receiver

_RECURRENT = ("nn.LSTM", "nn.GRU", "nn.RNN")
_SWAPS = {"transpose", "permute", "movedim", "swapaxes", "t", "mT", "T"}
_TRIANGLES = ("torch.tril", "torch.triu")
_HIDE = ("nn.MultiheadAttention", "nn.TransformerEncoder", "nn.TransformerEncoderLayer", "nn.TransformerDecoder")
"""Modules whose boolean masks are true for what is hidden."""
_FILLS = ("masked_fill", "masked_fill_")
_LESS = re.compile(r"-\s*(float\(.inf|(math|torch|np|numpy)\.inf|1e\d)|.-inf|\.min\b")
"""How minus infinity is written, or a number that stands for it."""


def heads_by_view(source: Source) -> Iterator[Found]:
    """Attention heads cut across the sequence.

    Why: A view from (B, L, D) to (B, heads, L, D / heads) keeps the order in memory: each head gets a stretch of the
    sequence instead of a share of the features. Shapes fit, and the model still trains, badly.
    Fix: View as (B, L, heads, D / heads), then transpose(1, 2).
    Bad:
        from torch import nn
        class Attention(nn.Module):
            def __init__(self, width, heads):
                super().__init__()
                self.heads = heads
                self.query = nn.Linear(width, width)
            def forward(self, x):
                B, L, D = x.shape
                return self.query(x).view(B, self.heads, L, D // self.heads)
    Good:
        from torch import nn
        class Attention(nn.Module):
            def __init__(self, width, heads):
                super().__init__()
                self.heads = heads
                self.query = nn.Linear(width, width)
            def forward(self, x):
                B, L, D = x.shape
                return self.query(x).view(B, L, self.heads, D // self.heads).transpose(1, 2)
    """
    for call in source.calls:
        if attribute(call) not in ("view", "reshape") or len(call.args) != 4:
            continue
        batch, second, third, last = call.args
        if not (isinstance(batch, ast.Name) and isinstance(third, ast.Name)) or last_word(last) == third.id:
            continue
        axes = _axes(source, call, batch.id, third.id)
        if axes and last_word(second) not in axes and _is_projected(source, receiver(call)):
            yield Found(call, f"{source.code(second)} heads are cut out of {third.id}, not out of the features")


def _axes(source: Source, node: ast.AST, first: str, second: str) -> list[str]:
    """The names of a shape (first, second, ...) of three axes that is unpacked in the same function, else nothing."""
    for each in source.within(source.scope(node)):
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Tuple):
            shape = each.value.func if isinstance(each.value, ast.Call) else each.value
            names = [last_word(name) for name in each.targets[0].elts]
            if last_word(shape) in ("shape", "size") and names[:2] == [first, second] and len(names) == 3:
                return names
    return []


def _is_projected(source: Source, node: ast.expr) -> bool:
    """Whether a value comes straight from a linear layer, or is a part of what does: its features are the last axis."""
    made = node
    if isinstance(node, ast.Name):
        made = _unpacked(source, node) or source.origin(node)
    while isinstance(made, ast.Call) and attribute(made) in ("chunk", "split", "contiguous", "tensor_split"):
        made = receiver(made)
        made = source.origin(made) if isinstance(made, ast.Name) else made
    return isinstance(made, ast.Call) and source.is_a(made.func, "nn.Linear")


def _unpacked(source: Source, name: ast.Name) -> ast.expr | None:
    """What a variable was last unpacked from, above its use."""
    found = None
    for node in source.within(source.scope(name)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and node.lineno < name.lineno:
            if any(last_word(each) == name.id for each in node.targets[0].elts):
                found = node.value
    return found


def softmax_over_queries(source: Source) -> Iterator[Found]:
    """Attention that sums to 1 over the wrong axis.

    Why: Scores are (..., queries, keys): each query's weights must sum to 1 over the keys, the last axis.
    Fix: Take the softmax over dim=-1.
    Bad:
        import torch
        def attend(q, k, v):
            weights = torch.softmax(q @ k.transpose(-2, -1), dim=1)
            return weights @ v
    Good:
        import torch
        def attend(q, k, v):
            weights = torch.softmax(q @ k.transpose(-2, -1), dim=-1)
            return weights @ v
    """
    for call in source.calls:
        if last_word(call.func) != "softmax":
            continue
        method = not source.called(call).startswith(("torch.", "F."))
        scores = receiver(call) if method and isinstance(call.func, ast.Attribute) else argument(call, 0, "input")
        axis = argument(call, 0 if method else 1, "dim")
        if scores is None or not isinstance(axis, ast.Constant | ast.UnaryOp):
            continue
        if (
            "slot" in source.names_around(call).lower()
        ):  # slots compete for what they see: there the sum is over the queries
            continue
        if source.code(axis).replace(" ", "") in _axes_of_queries(_unscaled(source, scores)):
            yield Found(call, "the weights of a query do not sum to 1", (replace(source, axis, "-1"),))


def _unscaled(source: Source, scores: ast.expr) -> ast.expr:
    """What scores are before they are scaled."""
    value = source.origin(scores)
    while isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div | ast.Mult):
        value = source.origin(value.left)
    return value


def _axes_of_queries(product: ast.expr) -> tuple[str, ...]:
    """The axes of a product of queries and keys that do not run over the keys; none where that is not known."""
    if isinstance(product, ast.BinOp) and isinstance(product.op, ast.MatMult):
        right = product.right
        swapped = isinstance(right, ast.Call) and attribute(right) == "transpose" and len(right.args) == 2
        return ("0", "1", "-2") if swapped else ()
    if isinstance(product, ast.Call) and last_word(product.func) == "einsum" and product.args:
        equation = re.fullmatch(r"(\w+),(\w+)->(\w+)", ast.unparse(product.args[0]).strip("'\"").replace(" ", ""))
        if equation is not None:
            queries, keys, out = equation.groups()
            size = len(out)
            wrong = [place for place, letter in enumerate(out) if letter in queries or letter not in keys]
            return tuple(str(place) for place in wrong) + tuple(str(place - size) for place in wrong)
    return ()


def scaled_by_width(source: Source) -> Iterator[Found]:
    """Attention scores divided by the width of a head.

    Why: The scores of independent vectors have a deviation of the square root of their width: divided by the width
    itself they are almost 0, and attention almost the mean of all values.
    Fix: Divide by its square root.
    Bad:
        def attend(q, k, v):
            scores = q @ k.transpose(-2, -1) / q.size(-1)
            return scores.softmax(dim=-1) @ v
    Good:
        def attend(q, k, v):
            scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
            return scores.softmax(dim=-1) @ v
    Reference: https://arxiv.org/abs/1706.03762
    """
    for node in source.nodes:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _axes_of_queries(node.left)):
            continue
        by = source.origin(node.right) if isinstance(node.right, ast.Name) else node.right
        named = re.fullmatch(r"(self\.)?(d_k|d_head|dim_head|head_dim|d_model|embed_dim)", source.code(by))
        if named or re.fullmatch(r"[\w.]+\.(size\(-1\)|shape\[-1\])", source.code(by)):
            fixed = f"{source.code(node.right)} ** 0.5"
            yield Found(
                node,
                f"{source.code(node.right)} is the square of the usual scale",
                (replace(source, node.right, fixed),),
            )


def last_step_of_wrong_axis(source: Source) -> Iterator[Found]:
    """The last sample taken for the last step.

    Why: A recurrent layer without batch_first gives (L, B, H): [:, -1] is the last sample of the batch, at all steps.
    Fix: Pass batch_first=True where the input is (B, L, ...), else take [-1].
    Bad:
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = nn.GRU(8, 16)
            def forward(self, x):
                out, _ = self.rnn(x)
                return out[:, -1]
    Good:
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = nn.GRU(8, 16, batch_first=True)
            def forward(self, x):
                out, _ = self.rnn(x)
                return out[:, -1]
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
    """
    time_first = {
        (source.owner(node), last_word(node.targets[0]))
        for node in source.nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if source.called(node.value).endswith(_RECURRENT) and _is_time_first(node.value)
    }
    for node in source.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and _takes_second_axis_last(node.slice):
            made = _unpacked(source, node.value)
            reassigned = source.origin(node.value) is not node.value
            if not isinstance(made, ast.Call) or reassigned:
                continue
            if (source.owner(node), last_word(made.func)) in time_first:
                yield Found(node, f"{last_word(made.func)} gives (L, B, H): this is the last sample, not the last step")


def _is_time_first(call: ast.Call) -> bool:
    given = keyword(call, "batch_first")
    return len(call.args) < 5 and (given is None or (isinstance(given, ast.Constant) and given.value is False))


def _takes_second_axis_last(index: ast.expr) -> bool:
    """Whether an index is [:, -1], with anything behind it."""
    if not (isinstance(index, ast.Tuple) and len(index.elts) >= 2):
        return False
    first, second = index.elts[:2]
    everything = isinstance(first, ast.Slice) and first.lower is None and first.upper is None
    return everything and ast.unparse(second) == "-1"


def normalized_over_batch(source: Source) -> Iterator[Found]:
    """Similarities of vectors that have no length 1.

    Why: Normalized over dimension 0, each feature has length 1 over the batch, not each sample: the products are no
    cosines, and the temperature means nothing.
    Fix: Normalize over the features: dim=-1.
    Bad:
        import torch.nn.functional as F
        def similarities(a, b):
            a = F.normalize(a, dim=0)
            b = F.normalize(b, dim=0)
            return a @ b.t()
    Good:
        import torch.nn.functional as F
        def similarities(a, b):
            a = F.normalize(a, dim=-1)
            b = F.normalize(b, dim=-1)
            return a @ b.t()
    """
    for node in source.nodes:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)) or not _is_swapped(node.right):
            continue
        left = source.origin(node.left) if not _is_swapped(node.left) else None
        if isinstance(left, ast.Call) and source.called(left).endswith("functional.normalize"):
            axis = argument(left, 2, "dim")
            if isinstance(axis, ast.Constant) and axis.value == 0:
                yield Found(left, f"line {node.lineno} compares samples, and these are normalized features")


def _is_swapped(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    return isinstance(called, ast.Attribute) and called.attr in _SWAPS


def mask_after_softmax(source: Source) -> Iterator[Found]:
    """A mask that comes too late.

    Why: Filled with -inf after the softmax, what is masked gets an infinite weight; before it, a weight of 0.
    Fix: Fill the scores, then take the softmax.
    Bad:
        import torch
        def weights(scores, hidden):
            attention = torch.softmax(scores, dim=-1)
            return attention.masked_fill(hidden, float("-inf"))
    Good:
        import torch
        def weights(scores, hidden):
            scores = scores.masked_fill(hidden, float("-inf"))
            return torch.softmax(scores, dim=-1)
    """
    for call in source.calls:
        if attribute(call) in _FILLS and _fills_with_less(source, call):
            filled = source.origin(receiver(call))
            if isinstance(filled, ast.Call) and last_word(filled.func) == "softmax":
                yield Found(call, f"the softmax of line {filled.lineno} is over already")


def _fills_with_less(source: Source, call: ast.Call) -> bool:
    """Whether a mask is filled with -inf, or a number that stands for it."""
    value = argument(call, 1, "value")
    return value is not None and bool(_LESS.search(source.code(value)))


def causal_mask_inverted(source: Source) -> Iterator[Found]:
    """A causal mask that hides the past.

    Why: masked_fill fills where the mask is true. Filling the lower triangle with -inf hides the past and shows the
    future; filling from the diagonal on hides the token itself, and the first row becomes NaN.
    Fix: Fill the strict upper triangle: torch.triu(ones, diagonal=1), or where tril is 0.
    Bad:
        import torch
        def hide(scores, n):
            mask = torch.tril(torch.ones(n, n)).bool()
            return scores.masked_fill(mask, float("-inf"))
    Good:
        import torch
        def hide(scores, n):
            mask = torch.triu(torch.ones(n, n), diagonal=1).bool()
            return scores.masked_fill(mask, float("-inf"))
    """
    for call in source.calls:
        if attribute(call) not in _FILLS or not call.args or not _fills_with_less(source, call):
            continue
        mask, flipped = _unflipped(source, call.args[0])
        if isinstance(mask, ast.Call) and (triangle := _triangle(source, mask)) is not None:
            lower, diagonal = triangle
            if lower != flipped:
                yield Found(call, "it hides the past and shows the future")
            elif not lower and diagonal == 0:
                yield Found(mask, "it hides each token from itself: the first row is all -inf")
    for call in source.calls:
        given = keyword(call, "attn_mask", "src_mask", "tgt_mask")
        shows = source.called(call).endswith("scaled_dot_product_attention")
        if given is None or not (shows or source.is_a(call.func, *_HIDE)) or not _is_boolean(source, given):
            continue
        mask, flipped = _unflipped(source, given)
        if isinstance(mask, ast.Call) and (triangle := _triangle(source, mask)) is not None:
            if (triangle[0] != flipped) != shows:
                yield Found(given, f"true means {'seen' if shows else 'hidden'} here: it hides the past")


def _is_boolean(source: Source, mask: ast.expr) -> bool:
    """Whether a mask says yes and no, and is not added to the scores."""
    made = source.origin(mask)
    return isinstance(made, ast.Compare | ast.UnaryOp) or (isinstance(made, ast.Call) and attribute(made) == "bool")


def _unflipped(source: Source, mask: ast.expr) -> tuple[ast.expr, bool]:
    """What a mask is made from, and whether it is true where that is not."""
    flipped = False
    for _ in range(6):
        mask = source.origin(mask)
        if isinstance(mask, ast.UnaryOp) and isinstance(mask.op, ast.Invert):
            mask, flipped = mask.operand, not flipped
        elif isinstance(mask, ast.Compare) and isinstance(mask.comparators[0], ast.Constant):
            truth = bool(mask.comparators[0].value) == isinstance(mask.ops[0], ast.Eq)
            mask, flipped = mask.left, flipped != (not truth)
        elif isinstance(mask, ast.Call) and attribute(mask) == "bool":
            mask = receiver(mask)
        else:
            break
    return mask, flipped


def _triangle(source: Source, made: ast.Call) -> tuple[bool, int] | None:
    """Whether a triangle of ones is the lower, and its diagonal; nothing for other masks."""
    kind = last_word(made.func)
    method = source.called(made) not in _TRIANGLES
    if kind not in ("tril", "triu"):
        return None
    filled = receiver(made) if method else argument(made, 0, "input")
    if filled is None or not (isinstance(filled, ast.Call) and source.called(filled) == "torch.ones"):
        return None
    given = argument(made, 0 if method else 1, "diagonal")
    if given is not None and not isinstance(given, ast.Constant):
        return None
    diagonal = int(given.value) if isinstance(given, ast.Constant) and isinstance(given.value, int) else 0
    return kind == "tril", diagonal


def padding_mask_inverted(source: Source) -> Iterator[Found]:
    """A padding mask that hides the words.

    Why: key_padding_mask is true for what is to be ignored. Built as `ids != pad`, attention sees the padding alone.
    Fix: Pass `ids == pad`, or invert a mask that is 1 for words.
    Bad:
        def encode(encoder, embedded, ids):
            return encoder(embedded, src_key_padding_mask=ids != 0)
    Good:
        def encode(encoder, embedded, ids):
            return encoder(embedded, src_key_padding_mask=ids == 0)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
    """
    for call in source.calls:
        for name in ("key_padding_mask", "src_key_padding_mask", "tgt_key_padding_mask", "memory_key_padding_mask"):
            given = keyword(call, name)
            if given is None:
                continue
            mask = source.origin(given)
            kept = isinstance(mask, ast.Compare) and len(mask.ops) == 1 and isinstance(mask.ops[0], ast.NotEq)
            words = isinstance(given, ast.Call) and attribute(given) == "bool" and last_word(receiver(given))
            if kept or words == "attention_mask":
                yield Found(given, f"{name} is true for what is ignored, and this is true for what counts")


RULES = [
    rule(find)
    for find in (
        heads_by_view,
        softmax_over_queries,
        scaled_by_width,
        last_step_of_wrong_axis,
        normalized_over_batch,
        mask_after_softmax,
        causal_mask_inverted,
        padding_mask_inverted,
    )
]
