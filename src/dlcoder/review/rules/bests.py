"""Rules of the best: by which value weights are kept, and whether it can ever be beaten."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Source, argument, attribute, last_word, receiver

_FALLS = re.compile(r"loss|error|(^|_)(mae|mse|rmse|nll|fid|perplexity|ppl|wer|cer)(_|$)", re.IGNORECASE)
_GROWS = re.compile(r"(^|_)(acc|accuracy|f1|miou|iou|dice|auc|map|psnr|ssim|bleu|recall|precision)(_|$)", re.IGNORECASE)


def wrong_best(source: Source) -> Iterator[Found]:
    """The worst taken for the best.

    Why: A loss is better when it is smaller, an accuracy when it is larger: compared the other way round, the weights
    that are kept are the worst, and a search stops at once.
    Fix: Turn the comparison round.
    Bad:
        def fit(train, validate, save):
            best = 0.0
            for epoch in range(10):
                train()
                val_loss = validate()
                if val_loss > best:
                    best = val_loss
                    save()
    Good:
        def fit(train, validate, save):
            best = float("inf")
            for epoch in range(10):
                train()
                val_loss = validate()
                if val_loss < best:
                    best = val_loss
                    save()
    """
    for node, value, best in _comparisons(source):
        larger = isinstance(node.ops[0], ast.Gt | ast.GtE)
        if (_FALLS.search(value.id) and larger) or (
            _GROWS.search(value.id) and not larger and not _FALLS.search(value.id)
        ):
            yield Found(
                node, f"{value.id} is better when it is {'smaller' if larger else 'larger'} than {last_word(best)}"
            )


def _comparisons(source: Source) -> Iterator[tuple[ast.Compare, ast.Name, ast.expr]]:
    """Tests of a value against the best so far that, when they hold, make it the best."""
    for node in source.nodes:
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and len(node.test.ops) == 1):
            continue
        value, best = node.test.left, node.test.comparators[0]
        if not isinstance(value, ast.Name) or not re.search("best", last_word(best)):
            continue
        if isinstance(node.test.ops[0], ast.Gt | ast.GtE | ast.Lt | ast.LtE) and any(
            isinstance(each, ast.Assign)
            and last_word(each.targets[0]) == last_word(best)
            and last_word(each.value) == value.id
            for each in node.body
        ):
            yield node.test, value, best


def best_out_of_reach(source: Source) -> Iterator[Found]:
    """A best that nothing can beat.

    Why: Larger than infinity, or smaller than zero where losses are positive: no weights are ever kept.
    Fix: Begin at -inf where more is better, at inf where less is.
    Bad:
        def fit(train, validate, save):
            best_acc = float("inf")
            for epoch in range(10):
                train()
                acc = validate()
                if acc > best_acc:
                    best_acc = acc
                    save()
    Good:
        def fit(train, validate, save):
            best_acc = float("-inf")
            for epoch in range(10):
                train()
                acc = validate()
                if acc > best_acc:
                    best_acc = acc
                    save()
    """
    for node, value, best in _comparisons(source):
        if not isinstance(best, ast.Name):
            continue
        given = [each for each in source.nodes if _gives(source, each, node, best.id)]
        start = given[0] if len(given) == 2 else None  # its first value, and the better ones
        if not isinstance(start, ast.Assign):
            continue
        begin = re.sub(r"[\s'\"()]|float|math\.|np\.|numpy\.|torch\.", "", source.code(start.value))
        larger = isinstance(node.ops[0], ast.Gt | ast.GtE)
        if (larger and begin in ("inf", "1e9", "1e10")) or (not larger and begin in ("0", "0.0", "-inf")):
            yield Found(start, f"no {value.id} is {'larger' if larger else 'smaller'} than {source.code(start.value)}")


def _gives(source: Source, node: ast.AST, test: ast.AST, name: str) -> bool:
    """Whether a statement gives a variable a value, in the function of a test."""
    assigns = isinstance(node, ast.Assign) and last_word(node.targets[0]) == name
    return assigns and source.scope(node) is source.scope(test)


def plateau_direction(source: Source) -> Iterator[Found]:
    """A plateau looked for in the wrong direction.

    Why: With mode="max" a falling loss is no improvement: the learning rate is cut again and again while all is well.
    Fix: mode="min" for losses, mode="max" for scores.
    Bad:
        import torch
        def fit(optimizer, train, validate):
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max")
            for epoch in range(10):
                train()
                val_loss = validate()
                scheduler.step(val_loss)
    Good:
        import torch
        def fit(optimizer, train, validate):
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min")
            for epoch in range(10):
                train()
                val_loss = validate()
                scheduler.step(val_loss)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
    """
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        if not source.called(node.value).endswith("ReduceLROnPlateau"):
            continue
        mode = argument(node.value, 1, "mode")
        grows = isinstance(mode, ast.Constant) and mode.value == "max"
        for call in source.calls:
            if attribute(call) == "step" and last_word(receiver(call)) == last_word(node.targets[0]):
                watched = last_word(argument(call, 0, "metrics") or call)
                falls = _FALLS.search(watched)
                if (grows and falls) or (not grows and _GROWS.search(watched) and not falls and _is_known(mode)):
                    edits = (replace(source, mode, '"min"' if grows else '"max"'),) if mode is not None else ()
                    yield Found(call, f"{watched} is watched with mode {'max' if grows else 'min'}", edits)


def _is_known(mode: ast.expr | None) -> bool:
    """Whether a mode is the default or written down, and not decided elsewhere."""
    return mode is None or isinstance(mode, ast.Constant)


RULES = [rule(find) for find in (wrong_best, best_out_of_reach, plateau_direction)]
