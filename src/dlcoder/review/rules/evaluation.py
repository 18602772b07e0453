"""Rules of evaluation: modes, graphs, averages, and what is evaluated on."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, rule
from dlcoder.review.source import Loop, Source, attribute, last_word, receiver
from dlcoder.review.training import Training, epochs_around, trainings

_EVALUATES = re.compile(
    r"^(evaluate|evaluation|validate|validation|eval|val|test)(_(model|epoch|loop|one_epoch|net|fn))?$"
)
_MODEL = re.compile(r"(^|_)(model|net|network|encoder|module)$")


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
    if re.search(r"\.eval\(\)|\.train\((mode=)?\w", source.around):
        return
    for function in source.functions:
        if _EVALUATES.match(function.name) and any(isinstance(node, Loop) for node in source.within(function)):
            call = _calls_model(source, function)
            if call is not None:
                yield Found(call, f"{function.name} runs the model in training mode: nothing in the file calls eval()")


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
        if not (isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name)):
            continue
        values = ast.walk(node.value)
        compared = any(isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.Eq) for each in values)
        averaged = any(isinstance(each, ast.Call) and attribute(each) == "mean" for each in ast.walk(node.value))
        if compared and averaged and (place := _divided_by_batches(source, node)) is not None:
            yield Found(place, f"{node.target.id} is a mean of batches' means, not of samples")


def _divided_by_batches(source: Source, gathered: ast.AugAssign) -> ast.BinOp | None:
    """Where a sum is divided by the number of batches."""
    for node in source.within(source.scope(gathered)):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Div)
            and last_word(node.left) == last_word(gathered.target)
        ):
            if isinstance(node.right, ast.Call) and source.called(node.right) == "len" and node.right.args:
                if re.search(r"loader|batches|^dl$|_dl$", last_word(node.right.args[0])):
                    return node
    return None


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
                for keyword in node.value.keywords:
                    given = last_word(keyword.value)
                    if keyword.arg and "transform" in keyword.arg and re.search(r"train(?!able|ed|er)", given):
                        yield Found(keyword.value, f"{name} is augmented by {given}")


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


RULES = [
    rule(find)
    for find in (
        eval_mode_left_on,
        eval_mode_missing,
        evaluation_records_graph,
        mean_of_batch_means,
        augmented_validation,
        fit_before_split,
    )
]
