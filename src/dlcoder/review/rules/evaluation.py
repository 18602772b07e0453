"""Rules of evaluation: modes, graphs, averages, and what is evaluated on."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Function, Loop, Source, argument, attribute, keyword, last_word, receiver
from dlcoder.review.training import Training, epochs_around, trainings, without_gradient

_EVALUATES = re.compile(
    r"^(evaluate|evaluation|validate|validation|eval|val|test)(_(model|epoch|loop|one_epoch|net|fn))?$"
)
_PREDICTS = re.compile(r"^(predict|infer|inference|run_inference|classify)(_|$)")
_MODEL = re.compile(r"(^|_)(model|net|network|encoder|module)$")
_OF_ALL_SAMPLES = re.compile(
    r"(f1|fbeta|precision|recall|roc_auc|average_precision|jaccard|cohen_kappa|matthews_corrcoef|r2)_score$"
)
"""Scores of scikit-learn that are ratios of sums over samples."""
_RANDOM = re.compile(r"Random[A-Z]|(Rand|Auto)Augment$|TrivialAugment|AugMix$|ColorJitter$|(Horizontal|Vertical)Flip$")


def _calls_model(source: Source, function: ast.AST) -> ast.Call | None:
    for call in source.calls_in(function):
        if isinstance(call.func, ast.Name | ast.Attribute) and _MODEL.search(last_word(call.func)) and call.args:
            return call
    return None


def eval_mode_left_on(source: Source) -> Iterator[Found]:
    """Training that goes on in evaluation mode.

    Why: After the first evaluation dropout is off and batch norm's statistics stand still for the rest of the training.
    Fix: Call model.train() at the start of every epoch, or at the end of the evaluation.
    Bad:
        def fit(model, train_loader, val_loader, optimizer, criterion):
            model.train()
            for epoch in range(10):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                model.eval()
                for x, y in val_loader:
                    model(x)
    Good:
        def fit(model, train_loader, val_loader, optimizer, criterion):
            for epoch in range(10):
                model.train()
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                model.eval()
                for x, y in val_loader:
                    model(x)
    Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval
    """
    seen = set()
    for each in trainings(source):
        epochs = epochs_around(each)
        if not isinstance(epochs, Loop) or epochs in seen:
            continue
        seen.add(epochs)
        reached = list(_calls_from(source, epochs))
        if any(attribute(call) == "train" and not _is_false(call) for call, _ in reached):
            continue
        for call, place in reached:
            if attribute(call) == "eval" and not call.args and _is_trained(source, each, receiver(call)):
                yield Found(
                    place, f"nothing in the loop of line {epochs.lineno} puts the model back into training mode"
                )
                break


def _calls_from(
    source: Source, region: ast.AST, seen: frozenset[str] = frozenset()
) -> Iterator[tuple[ast.Call, ast.Call]]:
    """The calls of a region and of the functions that it calls, each with the region's own call that leads there."""
    for call in source.calls_in(region):
        yield call, call
        name = last_word(call.func)
        if name not in seen and len(seen) < 3:
            for function in source.functions:
                if function.name == name:
                    for inner, _ in _calls_from(source, function, seen | {name}):
                        yield inner, call


def _is_false(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value is False


def _is_trained(source: Source, training: Training, model: ast.expr) -> bool:
    """Whether a model could be the one that is trained, rather than a frozen teacher: by its name."""
    return not re.search(r"teacher|ema|target|frozen|vgg|lpips|inception|ref", source.code(model).lower())


def eval_mode_missing(source: Source) -> Iterator[Found]:
    """An evaluation in training mode.

    Why: Dropout is on and batch norm uses, and learns from, the statistics of the test batches: the score depends on
    the batch size and changes the model.
    Fix: Call model.eval() before, and model.train() after.
    Bad:
        import torch
        @torch.no_grad()
        def evaluate(model, loader):
            correct = 0
            for x, y in loader:
                correct += (model(x).argmax(1) == y).sum().item()
            return correct / len(loader.dataset)
    Good:
        import torch
        @torch.no_grad()
        def evaluate(model, loader):
            model.eval()
            correct = 0
            for x, y in loader:
                correct += (model(x).argmax(1) == y).sum().item()
            model.train()
            return correct / len(loader.dataset)
    """
    if source.mentions(r"\.eval\(\)|\.train\((mode=)?\w"):
        return
    for function in source.functions:
        looped = any(isinstance(node, Loop) for node in source.within(function))
        loaded = any(attribute(call) == "load_state_dict" for call in source.calls_in(function))
        if (_EVALUATES.match(function.name) and looped) or (_PREDICTS.match(function.name) and loaded):
            call = _calls_model(source, function)
            if call is not None:
                yield Found(call, f"{function.name} runs the model in training mode: nothing in the file calls eval()")
    for each in trainings(source):
        for node in source.within(epochs_around(each)):
            if isinstance(node, ast.With) and without_gradient(source, node.body[0]):
                loop = next((inner for inner in node.body if isinstance(inner, Loop)), None)
                if loop is not None and (call := _calls_model(source, loop)) is not None:
                    yield Found(call, "the model is in training mode: nothing in the file calls eval()")


def evaluation_records_graph(source: Source) -> Iterator[Found]:
    """An evaluation that records graphs.

    Why: It needs the memory and time of a training's forward pass; sums of its losses keep every graph alive.
    Fix: Put it under torch.inference_mode() or torch.no_grad().
    Bad:
        def evaluate(model, loader):
            model.eval()
            correct = 0
            for x, y in loader:
                correct += (model(x).argmax(1) == y).sum().item()
            return correct / len(loader.dataset)
    Good:
        import torch
        @torch.inference_mode()
        def evaluate(model, loader):
            model.eval()
            correct = 0
            for x, y in loader:
                correct += (model(x).argmax(1) == y).sum().item()
            return correct / len(loader.dataset)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html
    """
    if any(word in source.text for word in ("no_grad", "inference_mode", "set_grad_enabled", "requires_grad_(False)")):
        return
    for function in source.functions:
        switched = any(attribute(call) == "eval" and not call.args for call in source.calls_in(function))
        trained = any(attribute(call) == "backward" for call in source.calls_in(function))
        loops = [node for node in source.within(function) if isinstance(node, Loop)]
        if switched and loops and not trained and not function.name.startswith("test_"):
            call = _calls_model(source, function)
            if call is not None and any(source.inside(call, loop) for loop in loops):
                yield Found(call, f"{function.name} records a graph that nothing uses")


def mean_of_batch_means(source: Source) -> Iterator[Found]:
    """A metric averaged over batches.

    Why: The samples of a small last batch weigh more than the others: the figure depends on the batch size and on the
    number of GPUs.
    Fix: Add up correct predictions and samples, and divide once.
    Bad:
        import torch
        @torch.inference_mode()
        def evaluate(model, loader):
            model.eval()
            accuracy = 0.0
            for x, y in loader:
                accuracy += (model(x).argmax(1) == y).float().mean().item()
            return accuracy / len(loader)
    Good:
        import torch
        @torch.inference_mode()
        def evaluate(model, loader):
            model.eval()
            correct = total = 0
            for x, y in loader:
                correct += (model(x).argmax(1) == y).sum().item()
                total += len(y)
            return correct / total
    """
    for node in source.nodes:
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name):
            gathered, value = node.target.id, node.value
        elif isinstance(node, ast.Call) and attribute(node) == "append" and len(node.args) == 1:
            gathered, value = last_word(receiver(node)), node.args[0]
        else:
            continue
        if gathered and (_is_share_of_hits(source, value) or _is_ratio(source, value)):
            for place in source.within(source.scope(node)):
                if _averages(source, place, gathered):
                    yield Found(place, f"{gathered} is averaged over batches, not over samples")  # type: ignore[arg-type]
                    break


def _is_share_of_hits(source: Source, value: ast.expr) -> bool:
    """Whether a value is the mean of a comparison: the accuracy of a batch."""
    nodes = list(ast.walk(source.origin(value)))
    compared = any(isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.Eq) for each in nodes)
    return compared and any(isinstance(each, ast.Call) and attribute(each) == "mean" for each in nodes)


def _is_ratio(source: Source, value: ast.expr) -> bool:
    """Whether a value is one of those scores of a batch whose mean is another thing than the score of all batches."""
    made = source.origin(value)
    while isinstance(made, ast.Call) and attribute(made) == "item":
        made = source.origin(receiver(made))
    if not isinstance(made, ast.Call):
        return False
    name = source.called(made)
    given = " ".join(source.code(each) for each in made.args)
    perplexity = name in ("torch.exp", "math.exp") and re.search("loss|crit|nll|entropy", given)
    return bool(perplexity or _OF_ALL_SAMPLES.search(name))


def _averages(source: Source, node: ast.AST, gathered: str) -> bool:
    """Whether an expression is the mean of what was gathered: over the loader's length, its own, or by a function."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        number = node.right
        if not (isinstance(number, ast.Call) and source.called(number) == "len" and number.args):
            return False
        counted = last_word(number.args[0])
        summed = node.left.args[0] if isinstance(node.left, ast.Call) and node.left.args else node.left
        of_batches = counted == gathered or re.search(r"loader|batches|^dl$|_dl$", counted)
        return last_word(summed) == gathered and bool(of_batches)
    if isinstance(node, ast.Call) and last_word(node.func) in ("mean", "fmean", "average"):
        return any(last_word(each) == gathered for each in ast.walk(node))
    return False


def augmented_validation(source: Source) -> Iterator[Found]:
    """Validation data with the training's augmentation.

    Why: The score is measured on distorted images, and changes from one evaluation to the next.
    Fix: Give validation data the transform without randomness.
    Bad:
        def build(Images, train_transform, val_transform):
            train_set = Images("train", transform=train_transform)
            val_set = Images("val", transform=train_transform)
            return train_set, val_set
    Good:
        def build(Images, train_transform, val_transform):
            train_set = Images("train", transform=train_transform)
            val_set = Images("val", transform=val_transform)
            return train_set, val_set
    """
    for node in source.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call):
            name = last_word(node.targets[0])
            if re.search(r"(^|_)(val|valid|validation|test|eval)(_|set|data|$)", name) and "train" not in name:
                for given in node.value.keywords:
                    if given.arg and "transform" in given.arg and _augments(source, given.value):
                        yield Found(given.value, f"{name} is augmented by {source.code(given.value)[:40]}")


def _augments(source: Source, transform: ast.expr) -> bool:
    """Whether a transform is random, by the name of the training or by what it is composed of."""
    made = source.origin(transform)
    composed = any(
        isinstance(each, ast.Call) and _RANDOM.match(last_word(each.func)) and not _is_certain(each)
        for each in ast.walk(made)
    )
    return composed or bool(re.search(r"train(?!able|ed|er)", last_word(transform)))


def _is_certain(call: ast.Call) -> bool:
    """Whether a random transform always or never acts."""
    return any(each.arg == "p" and ast.unparse(each.value) in ("0", "0.0", "1", "1.0") for each in call.keywords)


def fit_before_split(source: Source) -> Iterator[Found]:
    """Statistics of the test data in the training.

    Why: A scaler, selector or encoder fitted before the split has seen the test samples: the score is too good.
    Fix: Split first, fit on the training part, and only transform the rest.
    Bad:
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler
        def build(x, y):
            x = StandardScaler().fit_transform(x)
            return train_test_split(x, y, random_state=0)
    Good:
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler
        def build(x, y):
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            scaler = StandardScaler().fit(x_train)
            return scaler.transform(x_train), scaler.transform(x_test), y_train, y_test
    Reference: https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    """
    for split in source.calls:
        if source.called(split).endswith("train_test_split"):
            for given in split.args:
                value = source.origin(given)
                if isinstance(value, ast.Call) and attribute(value) == "fit_transform" and value is not given:
                    if not re.search(r"label|encoder|binarizer|tokenizer|vocab", source.code(value.func).lower()):
                        yield Found(value, f"it is fitted on all samples, before line {split.lineno} splits them")
    for call in source.calls:
        held_out = argument(call, 0, "X") if attribute(call) == "fit_transform" else None
        if held_out is not None and re.match(r"(x_?)?(val|valid|test)(_|$)", last_word(held_out).lower()):
            fixed = replace(source, call.func, f"{source.code(receiver(call))}.transform")
            yield Found(call, f"it is fitted on {source.code(held_out)}", (fixed,))


def union_may_be_empty(source: Source) -> Iterator[Found]:
    """An overlap that is 0 / 0 for an absent class.

    Why: A class that neither prediction nor truth holds has an empty union: 0 / 0 = NaN, and the mean with it.
    Fix: Leave absent classes out of the mean: skip them, or use nanmean.
    Bad:
        import numpy as np
        def mean_iou(predicted, truth, classes):
            ious = []
            for c in range(classes):
                intersection = ((predicted == c) & (truth == c)).sum()
                union = ((predicted == c) | (truth == c)).sum()
                ious.append(intersection / union)
            return np.mean(ious)
    Good:
        import numpy as np
        def mean_iou(predicted, truth, classes):
            ious = []
            for c in range(classes):
                intersection = ((predicted == c) & (truth == c)).sum()
                union = ((predicted == c) | (truth == c)).sum()
                if union > 0:
                    ious.append(intersection / union)
            return np.mean(ious)
    """
    for node in source.nodes:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Name)):
            continue
        divided, by, scope = last_word(node.left).lower(), node.right.id, source.scope(node)
        made = source.origin(node.right)
        if not divided.startswith("inter") or not by.lower().startswith("union") or not isinstance(scope, Function):
            continue
        counts = isinstance(made, ast.Call) and attribute(made) == "sum"
        guard = rf"nanmean|nan_to_num|isnan|errstate|(if|where|clamp|max\w*)\W.*\b{by}\b"
        if counts and not re.search(guard, source.code(scope)):
            yield Found(node, f"NaN for a class whose {by} is empty")


def selected_on_test(source: Source) -> Iterator[Found]:
    """A model chosen by its test score.

    Why: The best of many test scores is no estimate of anything: it is too good by what the choice gained.
    Fix: Choose by a validation set, and test once, at the end.
    Bad:
        import torch
        def fit(model, train, evaluate, test_loader):
            best = 0
            for epoch in range(10):
                train(model)
                test_accuracy = evaluate(model, test_loader)
                if test_accuracy > best:
                    best = test_accuracy
                    torch.save(model.state_dict(), "best.pt")
    Good:
        import torch
        def fit(model, train, evaluate, val_loader):
            best = 0
            for epoch in range(10):
                train(model)
                val_accuracy = evaluate(model, val_loader)
                if val_accuracy > best:
                    best = val_accuracy
                    torch.save(model.state_dict(), "best.pt")
    """
    if source.mentions(r"\b(val|valid|validation|dev)_?(loader|set|data|dl|loss|acc|score)"):
        return
    for node in source.nodes:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
            words = [last_word(node.test.left), *(last_word(each) for each in node.test.comparators)]
            chosen = any(re.match(r"test_", word) for word in words) and any("best" in word for word in words)
            keeps = any(
                source.called(call) == "torch.save" or attribute(call) == "state_dict"
                for call in ast.walk(node)
                if isinstance(call, ast.Call)
            )
            if chosen and keeps:
                yield Found(node, f"{' and '.join(word for word in words if word)} decide which weights are kept")


def metric_never_reset(source: Source) -> Iterator[Found]:
    """A metric that adds up over epochs.

    Why: A metric keeps its counts until it is reset: each epoch's score is the mean over all epochs so far.
    Fix: Call reset() before each evaluation.
    Bad:
        import torchmetrics
        def fit(model, loader):
            accuracy = torchmetrics.Accuracy("multiclass", num_classes=10)
            for epoch in range(10):
                for x, y in loader:
                    accuracy.update(model(x), y)
                print(accuracy.compute())
    Good:
        import torchmetrics
        def fit(model, loader):
            accuracy = torchmetrics.Accuracy("multiclass", num_classes=10)
            for epoch in range(10):
                accuracy.reset()
                for x, y in loader:
                    accuracy.update(model(x), y)
                print(accuracy.compute())
    Reference: https://lightning.ai/docs/torchmetrics/stable/pages/overview.html
    """
    if not source.imports("torchmetrics") or source.mentions(r"\.reset\(|lightning"):
        return
    for call in source.calls:
        looped = any(isinstance(outer, Loop) for outer in source.parents(call))
        made = source.made_by(receiver(call)) if attribute(call) == "compute" else set()
        outside = not any(
            isinstance(node, ast.Assign)
            and last_word(node.targets[0]) == last_word(receiver(call))
            and any(isinstance(outer, Loop) for outer in source.parents(node))
            for node in (source.nodes if made else ())
        )
        if looped and outside and any(each.startswith("torchmetrics") for each in made):
            yield Found(call, f"{source.code(receiver(call))} holds all epochs so far")


def validation_drops_samples(source: Source) -> Iterator[Found]:
    """An evaluation that leaves samples out.

    Why: drop_last leaves out what does not fill a batch: the score is that of another set, and another one for each
    batch size.
    Fix: Drop nothing where scores are computed.
    Bad:
        from torch.utils.data import DataLoader
        def build(data):
            val_loader = DataLoader(data, batch_size=32, drop_last=True)
            return val_loader
    Good:
        from torch.utils.data import DataLoader
        def build(data):
            val_loader = DataLoader(data, batch_size=32)
            return val_loader
    """
    for node in source.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            name, call = last_word(node.targets[0]), node.value
            if source.called(call).endswith("DataLoader") and re.match(r"(val|valid|validation|test|eval)_", name):
                given = keyword(call, "drop_last")
                if isinstance(given, ast.Constant) and given.value is True:
                    yield Found(given, f"{name} drops its last batch", (replace(source, given, "False"),))


RULES = [
    rule(find)
    for find in (
        eval_mode_left_on,
        eval_mode_missing,
        evaluation_records_graph,
        mean_of_batch_means,
        augmented_validation,
        fit_before_split,
        union_may_be_empty,
        selected_on_test,
        metric_never_reset,
        validation_drops_samples,
    )
]
