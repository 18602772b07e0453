"""Rules of objectives: what is compared with what, and by which formula."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Source, argument, attribute, last_word, receiver

_OF_CLASSES = (
    "cross_entropy",
    "cross_entropy_with_logits",
    "nll_loss",
    "CrossEntropyLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "NLLLoss",
)
_TARGET = re.compile(r"^(y|labels?|targets?|gt|truth|ground_truth|y_true|tgt)(_?\w)?$")
_PREDICTION = re.compile(r"^(logits?|preds?|predictions?|outputs?|out|scores|y_hat|y_pred|probs?)$")
_TOKENS = re.compile(r"^(input_)?(ids|tokens?|idx)$")


def _losses(source: Source) -> Iterator[tuple[ast.Call, ast.expr, ast.expr]]:
    """Calls of torch's losses of classes, with what is predicted and what is true."""
    for call in source.calls:
        of_torch = source.called(call).startswith(("torch.nn.functional.", "nn.functional."))
        named = of_torch and source.called(call).endswith(_OF_CLASSES)
        if named or source.is_a(call.func, *_OF_CLASSES):
            predicted, true = argument(call, 0, "input"), argument(call, 1, "target")
            if predicted is not None and true is not None:
                yield call, predicted, true


def loss_arguments_swapped(source: Source) -> Iterator[Found]:
    """A loss given the truth first.

    Why: torch's losses take the prediction first. With logits of the same shape as the target nothing crashes: the loss
    is that of predicting the logits from the labels.
    Fix: Pass the prediction first, then the target.
    Bad:
        import torch.nn.functional as F
        def loss(logits, labels):
            return F.binary_cross_entropy_with_logits(labels, logits)
    Good:
        import torch.nn.functional as F
        def loss(logits, labels):
            return F.binary_cross_entropy_with_logits(logits, labels)
    """
    for call, predicted, true in _losses(source):
        if _TARGET.match(_root(predicted)) and (_PREDICTION.match(_root(true)) or _calls_model(true)):
            edits = (replace(source, predicted, source.code(true)), replace(source, true, source.code(predicted)))
            yield Found(call, f"it predicts {source.code(true)} from {source.code(predicted)}", edits)


def _root(node: ast.expr) -> str:
    """`labels` for `labels.float()` and `labels[:, 0]`."""
    while isinstance(node, ast.Call | ast.Subscript):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return ""
    return last_word(node)


def _calls_model(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and bool(re.search(r"(^|_)(model|net|network)$", last_word(node.func)))


def targets_not_shifted(source: Source) -> Iterator[Found]:
    """A language model that predicts what it sees.

    Why: Position i sees token i. Asked for token i, the model copies its input: the loss falls to 0 at once.
    Fix: Compare the logits of [:, :-1] with the tokens of [:, 1:].
    Bad:
        import torch.nn.functional as F
        def loss(model, ids):
            logits = model(ids)
            return F.cross_entropy(logits.view(-1, logits.size(-1)), ids.view(-1))
    Good:
        import torch.nn.functional as F
        def loss(model, ids):
            logits = model(ids[:, :-1])
            return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    """
    for call, predicted, true in _losses(source):
        tokens = _whole(true)
        made = source.origin(predicted)
        if not _TOKENS.match(tokens) or _is_sliced(predicted) or not isinstance(made, ast.Call):
            continue
        around = source.names_around(call)
        reconstructs = re.search(r"auto.?encod|recon|mlm|mask|bert|vae", around, re.IGNORECASE)
        masked = re.search(rf"\b{tokens}\b\s*=.*(\[:|shift|roll|mask)", source.text)
        if any(last_word(given) == tokens for given in made.args) and not reconstructs and not masked:
            yield Found(call, f"the model has seen each of the {tokens} that it is to predict")
    yield from _same_block(source)


def _same_block(source: Source) -> Iterator[Found]:
    """Samples whose target is the very block of tokens that is their input."""
    for function in source.functions:
        if function.name not in ("__getitem__", "get_batch") or re.search("mask|noise", source.code(function)):
            continue
        for node in source.within(function):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
                first, second = (_slice(source, each) for each in node.value.elts)
                if first is not None and second is not None and ast.dump(first) == ast.dump(second):
                    yield Found(second, "input and target are the same tokens: the target must begin one later")


def _slice(source: Source, name: ast.expr) -> ast.Subscript | None:
    """The stretch of data that a variable was cut from."""
    for node in source.within(source.scope(name)):
        if isinstance(node, ast.Assign) and isinstance(name, ast.Name) and last_word(node.targets[0]) == name.id:
            cut = next((each for each in ast.walk(node.value) if isinstance(each, ast.Subscript)), None)
            if cut is not None and isinstance(cut.slice, ast.Slice) and isinstance(cut.slice.upper, ast.BinOp):
                return cut
    return None


def _whole(node: ast.expr) -> str:
    """The variable that is given whole, whatever its shape; empty for a part of it."""
    return "" if _is_sliced(node) else _root(node)


def _is_sliced(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Subscript) for each in ast.walk(node))


def padding_is_learned(source: Source) -> Iterator[Found]:
    """A language model that learns to pad.

    Why: Labels copied from padded inputs hold the padding too: most of the loss is the easy task of predicting it.
    Fix: Set the labels of padding to -100.
    Bad:
        def collate(batch, tokenizer):
            encoded = tokenizer(batch, padding=True, return_tensors="pt")
            encoded["labels"] = encoded["input_ids"].clone()
            return encoded
    Good:
        def collate(batch, tokenizer):
            encoded = tokenizer(batch, padding=True, return_tensors="pt")
            encoded["labels"] = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)
            return encoded
    Reference: https://huggingface.co/docs/transformers/tasks/language_modeling
    """
    for function in source.functions:
        text = source.code(function)
        if not re.search(r"padding\s*=\s*(True|.max_length|.longest)", text) or re.search(
            r"-100|pad_token|ignore", text
        ):
            continue
        for node in source.within(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                labels = ast.unparse(node.targets[0].slice) == "'labels'"
                copied = re.fullmatch(r"\w+\[.input_ids.\](\.(clone|copy)\(\))?", source.code(node.value))
                if labels and copied:
                    yield Found(node, "padding is among the labels")


def threshold_on_logits(source: Source) -> Iterator[Found]:
    """Logits compared with a probability.

    Why: A probability of 0.5 is a logit of 0: with a threshold of 0.5 on logits, whatever lies between is counted as
    negative.
    Fix: Compare logits with 0, or their sigmoid with 0.5.
    Bad:
        import torch.nn.functional as F
        def step(model, x, y):
            logits = model(x)
            loss = F.binary_cross_entropy_with_logits(logits, y)
            return loss, ((logits > 0.5) == y).float().mean()
    Good:
        import torch.nn.functional as F
        def step(model, x, y):
            logits = model(x)
            loss = F.binary_cross_entropy_with_logits(logits, y)
            return loss, ((logits > 0) == y).float().mean()
    """
    logits = {
        (source.scope(call), predicted.id)
        for call, predicted, _ in _losses(source)
        if isinstance(predicted, ast.Name) and "ogits" in f"{source.called(call)}{source.made_by(call.func)}"
    }
    for node in source.nodes:
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and len(node.ops) == 1:
            bar = node.comparators[0]
            half = isinstance(bar, ast.Constant) and bar.value == 0.5
            if half and (source.scope(node), node.left.id) in logits and not _is_squashed(source, node.left):
                told = f"{node.left.id} are logits, and 0.5 is a probability"
                yield Found(node, told, (replace(source, bar, "0"),))


def _is_squashed(source: Source, name: ast.Name) -> bool:
    """Whether the variable held probabilities by the time of its use."""
    made = source.origin(name)
    return isinstance(made, ast.Call) and last_word(made.func) in ("sigmoid", "softmax")


def generator_loss_detached(source: Source) -> Iterator[Found]:
    """A generator's loss without a way to the generator.

    Why: Samples detached before the discriminator judges them carry no gradient: the generator is never trained.
    Fix: Detach the samples in the discriminator's loss only.
    Bad:
        def generator_step(discriminator, fake, criterion, ones):
            g_loss = criterion(discriminator(fake.detach()), ones)
            return g_loss
    Good:
        def generator_step(discriminator, fake, criterion, ones):
            g_loss = criterion(discriminator(fake), ones)
            return g_loss
    """
    named = re.compile(r"^(g|gen|generator)_?loss(_\w+)?$|^(\w+_)?loss_?(g|gen|generator)$|^err_?g$", re.IGNORECASE)
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and named.match(last_word(node.targets[0]))):
            continue
        for call in (each for each in ast.walk(node.value) if isinstance(each, ast.Call)):
            for given in call.args:
                cut = isinstance(given, ast.Call) and attribute(given) == "detach"
                judged = re.search(r"^(net_?)?d$|disc|critic", last_word(call.func), re.IGNORECASE)
                if cut and judged and isinstance(given, ast.Call) and "real" not in source.code(given):
                    inner = source.code(receiver(given))
                    told = f"no gradient reaches the generator through {inner}"
                    yield Found(given, told, (replace(source, given, inner),))


def deviation_of_log_variance(source: Source) -> Iterator[Found]:
    """A standard deviation that is a variance.

    Why: exp(log_var) is the variance; the standard deviation is exp(log_var / 2). The noise is wrong wherever the
    variance is not 1, and does not fit the KL term.
    Fix: torch.exp(0.5 * log_var).
    Bad:
        import torch
        def sample(mu, logvar):
            std = torch.exp(logvar)
            return mu + std * torch.randn_like(std)
    Good:
        import torch
        def sample(mu, logvar):
            std = torch.exp(0.5 * logvar)
            return mu + std * torch.randn_like(std)
    Reference: https://arxiv.org/abs/1312.6114
    """
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        given = argument(node.value, 0, "input") if source.called(node.value) == "torch.exp" else None
        if given is None and attribute(node.value) == "exp" and not node.value.args:
            given = receiver(node.value)
        deviation = re.search(r"(^|_)(std|stddev|sigma)s?(_|$)", last_word(node.targets[0]))
        if given is not None and deviation and re.search(r"log_?var", last_word(given)):
            name = source.code(given)
            fixed = replace(source, node.value, f"torch.exp(0.5 * {name})", "torch")
            yield Found(node, f"exp({name}) is the variance", (fixed,))


def zero_times_log(source: Source) -> Iterator[Found]:
    """An entropy that is NaN where a probability is 0.

    Why: 0 * log(0) is 0 * -inf = NaN, and softmax does round to 0: one sure prediction ends the training.
    Fix: torch.special.xlogy(p, p), or log_softmax of the logits; clamp p where only p is known.
    Bad:
        import torch
        def entropy(p):
            return -(p * torch.log(p)).sum(dim=-1)
    Good:
        import torch
        def entropy(p):
            return -torch.special.xlogy(p, p).sum(dim=-1)
    Reference: https://docs.pytorch.org/docs/stable/special.html#torch.special.xlogy
    """
    for node in source.nodes:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)):
            continue
        for probability, other in ((node.left, node.right), (node.right, node.left)):
            inside = _logarithm_of(source, other)
            if inside is None or ast.dump(inside) != ast.dump(probability) or _is_guarded(source, probability):
                continue
            value = source.code(probability)
            fixed = f"torch.special.xlogy({value}, {value})"
            yield Found(node, f"NaN where {value} is 0", (replace(source, node, fixed, "torch"),))
            break


def _logarithm_of(source: Source, node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.Call) and source.called(node) == "torch.log":
        return argument(node, 0, "input")
    if isinstance(node, ast.Call) and attribute(node) == "log" and not node.args:
        return receiver(node)
    return None


def _is_guarded(source: Source, probability: ast.expr) -> bool:
    """Whether zeros are kept away: by a sum with a small number, a clamp, an exponential, or a name that says so."""
    value = source.origin(probability)
    if isinstance(value, ast.BinOp) or not isinstance(probability, ast.Name):
        return True
    if isinstance(value, ast.Call) and last_word(value.func) in ("clamp", "clamp_min", "clip", "maximum", "exp"):
        return True
    return bool(re.search(r"eps|safe|sigma|std|var|rate|scale", probability.id))


RULES = [
    rule(find)
    for find in (
        loss_arguments_swapped,
        targets_not_shifted,
        padding_is_learned,
        threshold_on_logits,
        generator_loss_detached,
        deviation_of_log_variance,
        zero_times_log,
    )
]
