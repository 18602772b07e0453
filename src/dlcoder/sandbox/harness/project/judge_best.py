"""Judges by which sign the best is chosen: `validation.best`. Read from the source: a short run has one best only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .runs import SKIPPED, Result
from .verdict import Check, failed, passed, skipped

_LOWER = re.compile(
    r"(^|[_\W])(loss|nll|mse|mae|rmse|mape|err|error|ppl|perplexity|fid|wer|cer|bpc|bpd|cost)(es|s)?($|[_\W\d])",
    re.IGNORECASE,
)
_HIGHER = re.compile(
    r"(^|[_\W])(acc|accuracy|acc1|top1|iou|miou|dice|f1|auc|auroc|map|psnr|ssim|r2|bleu|rouge|recall|precision|reward|"
    r"returns?|elbo)($|[_\W\d])",
    re.IGNORECASE,
)
_BEST = re.compile(r"best", re.IGNORECASE)
_MONITORS = ("ModelCheckpoint", "EarlyStopping")
_NAMES = {"lower": "smaller", "higher": "larger"}
Finding = tuple[int, str, str, str]
"""A line, the value that is compared, and which of its values is better: by its name, and in the code."""


def judge_best(result: Result) -> Iterator[Check]:
    """A value that should fall is best where it is smallest, and one that should rise where it is largest."""
    name, bound = "validation.best", "a loss is best where it is smallest, a score where it is largest"
    found = [
        (path, *finding) for path in _files(result.root) for finding in choices(path.read_text("utf-8", "replace"))
    ]
    for path, line, what, better, taken in found:
        if better != taken:
            site = f"{path.relative_to(result.root)}:{line}"
            fix = f"{what} is better when {_NAMES[better]}: turn the comparison or the mode round ({site})"
            yield failed(name, f"the {_NAMES[taken]} {what} counts as better", bound, fix)
            return
    if found:
        yield passed(name, f"{len(found)} comparison(s) read", bound)
    elif any("best" in str(e["path"]).lower() for e in result.events("save")):
        yield skipped(name, "what the best checkpoint is chosen by could not be read from the source")


def choices(source: str) -> Iterator[Finding]:
    """Every place of a file where one value is preferred to another and the value's name says which is better."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    assigned = [n for n in ast.walk(tree) if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)]
    # A score may say what it is only where it is computed.
    origins = {ast.unparse(n.targets[0]): ast.unparse(n.value.func) for n in assigned if isinstance(n.value, ast.Call)}
    plateaus = {}
    for node in ast.walk(tree):
        found: Finding | None = None
        if isinstance(node, ast.If):
            found = _from_branch(node, origins)
        elif isinstance(node, ast.Assign):
            found = _from_assignment(node, origins)
            mode = _plateau_mode(node.value)
            plateaus.update({ast.unparse(t): (node.lineno, mode) for t in node.targets} if mode else {})
        elif isinstance(node, ast.Call):
            found = _from_call(node)
        if found:
            yield found
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "step"
            and node.args
        ):
            line, mode = plateaus.get(ast.unparse(node.func.value), (0, ""))
            better = direction(node.args[0])
            if mode and better:
                yield line, ast.unparse(node.args[0]), better, mode


def direction(node: ast.expr | str) -> str:
    """Whether a value is better when "lower" or "higher", by its name; empty where that does not tell."""
    if isinstance(node, ast.UnaryOp):
        return ""
    text = node if isinstance(node, str) else ast.unparse(node)
    if "neg" in text:
        return ""
    return "lower" if _LOWER.search(text) else "higher" if _HIGHER.search(text) else ""


def _from_branch(node: ast.If, origins: dict[str, str]) -> Finding | None:
    """`if loss < best: best = loss`, or with what happens to the best in the other branch."""
    compared = _comparison(node.test, origins)
    if compared is None:
        return None
    line, what, better, taken, best = compared
    if any(_sets(statement, best) for statement in node.body):
        return line, what, better, taken
    if any(_sets(statement, best) for statement in node.orelse):
        return line, what, better, "lower" if taken == "higher" else "higher"
    return None


def _from_assignment(node: ast.Assign, origins: dict[str, str]) -> Finding | None:
    """`is_best = loss < best` and `best = min(best, loss)`."""
    target = ast.unparse(node.targets[0])
    value = node.value
    if _BEST.search(target) and isinstance(value, ast.Compare):
        compared = _comparison(value, origins)
        return compared[:4] if compared else None
    if not isinstance(value, ast.Call) or ast.unparse(value.func) not in ("min", "max") or not _BEST.search(target):
        return None
    others = [a for a in value.args if ast.unparse(a) != target]
    if len(value.args) != 2 or len(others) != 1:
        return None
    better = direction(others[0]) or direction(target)
    return (node.lineno, ast.unparse(others[0]), better, _of(ast.unparse(value.func))) if better else None


def _from_call(node: ast.Call) -> Finding | None:
    """Lightning's `monitor` and `mode`, and the same two of Hugging Face."""
    name = ast.unparse(node.func).split(".")[-1]
    given: dict[str, Any] = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
    if name in _MONITORS and isinstance(given.get("monitor"), str):
        what, taken = given["monitor"], given.get("mode", "min")
    elif isinstance(given.get("metric_for_best_model"), str) and "greater_is_better" in given:
        what, taken = given["metric_for_best_model"], "max" if given["greater_is_better"] else "min"
    else:
        return None
    better = direction(what)
    return (node.lineno, what, better, _of(taken)) if better and taken in ("min", "max") else None


def _plateau_mode(value: ast.expr) -> str:
    if not isinstance(value, ast.Call) or ast.unparse(value.func).split(".")[-1] != "ReduceLROnPlateau":
        return ""
    given: list[Any] = [k.value for k in value.keywords if k.arg == "mode"] + value.args[1:2]
    mode = given[0].value if given and isinstance(given[0], ast.Constant) else "" if given else "min"
    return _of(mode) if mode in ("min", "max") else ""


def _of(mode: str) -> str:
    return "lower" if mode == "min" else "higher"


def _comparison(test: ast.expr, origins: dict[str, str]) -> tuple[int, str, str, str, str] | None:
    """The comparison of a value with the best one: line, value, better by name, better by the code, the best's name."""
    for node in ast.walk(test):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return None
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            continue
        left, right = node.left, node.comparators[0]
        if isinstance(left, ast.Constant) or isinstance(right, ast.Constant):
            continue
        less = isinstance(node.ops[0], (ast.Lt, ast.LtE))
        if not less and not isinstance(node.ops[0], (ast.Gt, ast.GtE)):
            continue
        bests = [bool(_BEST.search(ast.unparse(side))) for side in (left, right)]
        if bests[0] == bests[1]:
            continue
        value, best = (right, left) if bests[0] else (left, right)
        better = direction(value) or direction(best) or direction(origins.get(ast.unparse(value), ""))
        if better:
            smaller_wins = less != bests[0]
            return node.lineno, ast.unparse(value), better, "lower" if smaller_wins else "higher", ast.unparse(best)
    return None


def _sets(statement: ast.stmt, best: str) -> bool:
    """Whether a statement makes another value the best one."""
    for node in ast.walk(statement):
        targets = node.targets if isinstance(node, ast.Assign) else []
        flat = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
        if best in map(ast.unparse, flat):
            return True
    return False


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        if not (SKIPPED | {"tests", "test", "site-packages"}) & set(path.relative_to(root).parts):
            yield path
