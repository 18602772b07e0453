"""Rules of whole scripts: options, seeds, debugging aids, and interfaces that torch has retired."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Source, attribute, keyword, last_word
from dlcoder.review.training import trainings


def option_never_read(source: Source) -> Iterator[Found]:
    """An option without effect.

    Why: Runs with different values are the same run: a sweep over it measures noise.
    Fix: Use it, or remove it.
    Bad:
        import argparse
        def main():
            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float, default=0.1)
            parser.add_argument("--warmup-steps", type=int, default=100)
            args = parser.parse_args()
            print(args.lr)
    Good:
        import argparse
        def main():
            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float, default=0.1)
            args = parser.parse_args()
            print(args.lr)
    """
    yield from _fields_never_read(source)
    yield from _arguments_never_read(source)
    if not any(attribute(call) in ("parse_args", "parse_known_args") for call in source.calls) or _escapes(source):
        return
    read = {node.attr for node in source.nodes if isinstance(node, ast.Attribute)}
    read |= {node.value for node in source.nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for call in source.calls:
        if attribute(call) == "add_argument" and call.args:
            flags = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            name = next((flag for flag in flags if flag.startswith("--")), "")
            dest = keyword(call, "dest")
            kept = str(dest.value) if isinstance(dest, ast.Constant) else name.lstrip("-").replace("-", "_")
            if name and kept not in read and f".{kept}" not in source.around and not _is_for_others(call, kept):
                yield Found(call, f"nothing reads {kept}")


def _fields_never_read(source: Source) -> Iterator[Found]:
    """Fields of a dataclass of settings that nothing reads, where the training is in view and takes them by name."""
    as_a_whole = r"asdict|vars\(|fields\(|__dict__|getattr\(|\*\*\s*(self\.)?(cfg|config|settings)"
    for owner in source.classes.values():
        settings = re.search(r"(Config|Settings|Options|Args|Arguments|HParams|Hyperparameters)$", owner.name)
        decorators = (each.func if isinstance(each, ast.Call) else each for each in owner.decorator_list)
        if not settings or "dataclass" not in map(last_word, decorators):
            continue
        if source.mentions(as_a_whole) or not source.mentions(r"\.backward\(|training_step"):
            return
        for node in owner.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                if not source.mentions(rf"\.{node.target.id}\b"):
                    yield Found(node, f"nothing reads {node.target.id}")


def _arguments_never_read(source: Source) -> Iterator[Found]:
    """Settings that a training, or a command of click, takes and does not use."""
    for function in source.functions:
        command = any(
            isinstance(each, ast.Call) and attribute(each) in ("option", "argument") for each in function.decorator_list
        )
        training = any(attribute(call) == "backward" for call in source.calls_in(function))
        if source.scope(function) is not source.tree or source.owner(function) or not (command or training):
            continue
        read = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        if read & {"locals", "vars"}:
            continue
        plain = function.args.args
        settings = plain if command else plain[len(plain) - len(function.args.defaults) :]
        for given in [*settings, *function.args.kwonlyargs]:
            if given.arg not in read and not given.arg.startswith("_"):
                yield Found(function, f"nothing reads {given.arg} of {function.name}")


def _is_for_others(call: ast.Call, name: str) -> bool:
    """Whether argparse itself or an old launcher wants the option."""
    action = keyword(call, "action")
    return name == "local_rank" or (isinstance(action, ast.Constant) and action.value in ("version", "help"))


def _escapes(source: Source) -> bool:
    """Whether the parsed options leave the file whole: as a dictionary, or to a function from elsewhere."""
    names = {
        last_word(node.targets[0])
        for node in source.nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and attribute(node.value) in ("parse_args", "parse_known_args")
    }
    names |= {"args", "opt", "opts", "options", "hparams", "cfg", "config"}
    own = set(re.findall(r"^\s*(?:def|class) (\w+)", source.around, re.MULTILINE))
    for call in source.calls:
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        whole = any(isinstance(each, ast.Name) and each.id in names for each in given)
        if whole and last_word(call.func) not in own | {"print", "isinstance", "hasattr", "getattr", "str", "repr"}:
            return True
    returned = [node.value for node in source.nodes if isinstance(node, ast.Return) and node.value is not None]
    parsed = any(
        (isinstance(each, ast.Call) and attribute(each) == "parse_args") or last_word(each) in names
        for each in returned
    )
    main = any(isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in source.tree.body)
    return parsed and not main


def bool_of_text(source: Source) -> Iterator[Found]:
    """An option that cannot be switched off.

    Why: type=bool calls bool() on the text, and bool("False") is True: every value but the empty one means yes.
    Fix: action="store_true", or argparse.BooleanOptionalAction.
    Bad:
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--amp", type=bool, default=False)
        print(parser.parse_args().amp)
    Good:
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=False)
        print(parser.parse_args().amp)
    Reference: https://docs.python.org/3/library/argparse.html#type
    """
    for call in source.calls:
        kind = keyword(call, "type") if attribute(call) == "add_argument" else None
        if isinstance(kind, ast.Name) and kind.id == "bool":
            yield Found(call, "'--option False' sets it to True")


def unseeded(source: Source) -> Iterator[Found]:
    """A training without a seed.

    Why: Two runs of the same command differ, and nobody can tell a change of the code from chance.
    Fix: Call torch.manual_seed(seed) first, and log the seed.
    Bad:
        import torch
        def main(model, loader, criterion):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
        if __name__ == "__main__":
            main(*build())
    Good:
        import torch
        def main(model, loader, criterion):
            torch.manual_seed(0)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
        if __name__ == "__main__":
            main(*build())
    Reference: https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    is_script = any(isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in source.tree.body)
    if not is_script or re.search(r"seed", source.text, re.IGNORECASE):
        return
    for each in trainings(source):
        yield Found(each.backward, "it trains, and nothing in the script sets a seed")
        return


def debugging_left_on(source: Source) -> Iterator[Found]:
    """A debugging aid in a training.

    Why: Anomaly detection and blocking launches make every step several times slower.
    Fix: Remove it, or switch it by an option.
    Bad:
        import torch
        torch.autograd.set_detect_anomaly(True)
    Good:
        import torch
    """
    for call in source.calls:
        on = bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value is True
        if source.called(call).endswith("autograd.set_detect_anomaly") and on:
            if not any(isinstance(outer, ast.If | ast.With) for outer in source.parents(call)):
                yield Found(call, "every step runs with anomaly detection")
    for node in source.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            key = node.targets[0].slice
            if isinstance(key, ast.Constant) and key.value == "CUDA_LAUNCH_BLOCKING" and "1" in source.code(node.value):
                yield Found(node, "every kernel launch waits for its end")


def retired_amp(source: Source) -> Iterator[Found]:
    """Mixed precision by its old names.

    Why: torch.cuda.amp is deprecated since torch 2.4, and its autocast is for CUDA alone.
    Fix: Use torch.autocast(device_type) and torch.amp.GradScaler(device).
    Bad:
        import torch
        def build():
            return torch.cuda.amp.GradScaler(), torch.cuda.amp.autocast()
    Good:
        import torch
        def build():
            return torch.amp.GradScaler("cuda"), torch.autocast("cuda")
    Reference: https://docs.pytorch.org/docs/stable/amp.html
    """
    new = {"torch.cuda.amp.GradScaler": "torch.amp.GradScaler", "torch.cuda.amp.autocast": "torch.autocast"}
    for call in source.calls:
        name = new.get(source.called(call))
        if name:
            given = [f"enabled={source.code(each)}" for each in call.args[:1]]
            given += [f"{each.arg}={source.code(each.value)}" for each in call.keywords if each.arg]
            fixed = f"{name}({', '.join(['CUDA', *given])})".replace("CUDA", '"cuda"', 1)
            yield Found(call, f"{source.called(call)} is now {name}", (replace(source, call, fixed, "torch"),))


def retired_reduction(source: Source) -> Iterator[Found]:
    """A reduction by its old names.

    Why: size_average and reduce override reduction silently, and are deprecated.
    Fix: Use reduction="mean", "sum" or "none".
    Bad:
        from torch import nn
        criterion = nn.CrossEntropyLoss(size_average=False)
    Good:
        from torch import nn
        criterion = nn.CrossEntropyLoss(reduction="sum")
    """
    for call in source.calls:
        if source.called(call).startswith("torch.nn."):
            for keyword in call.keywords:
                if keyword.arg in ("size_average", "reduce") and isinstance(keyword.value, ast.Constant):
                    yield Found(call, f"{keyword.arg} is deprecated, and overrides reduction")


def data_attribute(source: Source) -> Iterator[Found]:
    """A tensor changed behind autograd's back.

    Why: `.data` gives no error where a value that backward needs is overwritten: the gradients are silently wrong.
    Fix: Use `.detach()` to read, and `with torch.no_grad():` to change a tensor in place.
    Bad:
        def keep(loss, losses):
            losses.append(loss.data)
    Good:
        def keep(loss, losses):
            losses.append(loss.detach())
    Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
    """
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "data" and isinstance(node.ctx, ast.Load):
            if re.search(r"(^|_)(loss|losses|logits|preds?)$", last_word(node.value)):
                inner = source.code(node.value)
                yield Found(
                    node, f"{inner}.data hides changes from autograd", (replace(source, node, f"{inner}.detach()"),)
                )


RULES = [
    rule(find)
    for find in (
        option_never_read,
        bool_of_text,
        unseeded,
        debugging_left_on,
        retired_amp,
        retired_reduction,
        data_attribute,
    )
]
