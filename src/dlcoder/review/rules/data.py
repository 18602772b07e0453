"""Rules of data: randomness in workers, shares of ranks, and labels that must not be blended."""

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from dlcoder.review.rule import Found, give, replace, rule
from dlcoder.review.source import Function, Source, argument, attribute, keyword, last_word, receiver, unpacks

_GENERATORS = ("numpy.random.default_rng", "numpy.random.RandomState", "random.Random", "torch.Generator")
_MAP = re.compile(r"(^|_)(masks?|seg|segmentation|label_?map|depth)$", re.IGNORECASE)
"""What lies over an image pixel by pixel, as labels of whole images do not."""
_MASK = re.compile(r"(^|_)(mask|masks|label|labels|target|targets|seg|segmentation|annotation)$", re.IGNORECASE)


def same_randomness_in_workers(source: Source) -> Iterator[Found]:
    """A generator that every worker copies.

    Why: Workers are copies of the dataset, its random generator included: all of them draw the same augmentations, and
    draw them again in every epoch.
    Fix: Draw from torch's own generator, which workers seed differently, or make one per worker and epoch.
    Bad:
        import numpy as np
        class Images:
            def __init__(self, paths):
                self.paths = paths
                self.rng = np.random.default_rng(0)
            def __getitem__(self, index):
                return self.paths[index], self.rng.random()
    Good:
        import torch
        class Images:
            def __init__(self, paths):
                self.paths = paths
            def __getitem__(self, index):
                return self.paths[index], torch.rand(())
    Reference: https://docs.pytorch.org/docs/stable/notes/faq.html#my-data-loader-workers-return-identical-random-numbers
    """
    for owner in source.classes.values():
        init, get = source.method(owner, "__init__"), source.method(owner, "__getitem__")
        if init is None or get is None or "get_worker_info" in source.text or "worker_init_fn" in source.text:
            continue
        for node in source.within(init):
            if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1):
                continue
            made = node.value
            while attribute(made) == "manual_seed" and isinstance(receiver(made), ast.Call):
                made = receiver(made)  # type: ignore[assignment]
            name = last_word(node.targets[0])
            if source.called(made).endswith(_GENERATORS) and _reads(get, name) and not _reseeded(owner, name):
                yield Found(node, f"every worker draws from its own copy of self.{name}, in the same state")


def _reads(function: Function, name: str) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(function))


def _reseeded(owner: ast.ClassDef, name: str) -> bool:
    """Whether a method makes or seeds the generator anew, by epoch or by index."""
    for method in owner.body:
        if isinstance(method, Function) and method.name != "__init__":
            for node in ast.walk(method):
                if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Store):
                    return True
                if isinstance(node, ast.Call) and attribute(node) in ("manual_seed", "seed"):
                    return True
    return False


def sampler_without_epoch(source: Source) -> Iterator[Found]:
    """A distributed sampler that repeats its order.

    Why: Without set_epoch every epoch has the same order, and every rank the same share of the data.
    Fix: Call sampler.set_epoch(epoch) at the start of every epoch.
    Bad:
        from torch.utils.data import DataLoader, DistributedSampler
        def fit(data, step):
            sampler = DistributedSampler(data)
            loader = DataLoader(data, sampler=sampler)
            for epoch in range(10):
                for batch in loader:
                    step(batch)
    Good:
        from torch.utils.data import DataLoader, DistributedSampler
        def fit(data, step):
            sampler = DistributedSampler(data)
            loader = DataLoader(data, sampler=sampler)
            for epoch in range(10):
                sampler.set_epoch(epoch)
                for batch in loader:
                    step(batch)
    Reference: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
    """
    if source.mentions("set_epoch|Accelerator") or "epoch" not in source.text:
        return
    for call in source.calls:
        if source.called(call).endswith("DistributedSampler") and not _is_validation(source, call):
            shuffle = argument(call, 3, "shuffle")
            if not (isinstance(shuffle, ast.Constant) and shuffle.value is False):
                yield Found(call, "nothing calls its set_epoch: every epoch has the same order")


def _is_validation(source: Source, call: ast.Call) -> bool:
    statement = source.statement(call)
    names = [last_word(target) for target in statement.targets] if isinstance(statement, ast.Assign) else []
    return any(re.search(r"val|test|eval", name) for name in names)


def every_rank_all_data(source: Source) -> Iterator[Found]:
    """Ranks that do not share the data.

    Why: Each rank goes through the whole dataset: N GPUs do N times the work of one, and gradients are averaged over
    batches that may hold the same samples.
    Fix: Give the loader a DistributedSampler.
    Bad:
        from torch.nn.parallel import DistributedDataParallel
        from torch.utils.data import DataLoader
        def build(model, data):
            return DistributedDataParallel(model), DataLoader(data, batch_size=8, shuffle=True)
    Good:
        from torch.nn.parallel import DistributedDataParallel
        from torch.utils.data import DataLoader, DistributedSampler
        def build(model, data, epoch):
            sampler = DistributedSampler(data)
            sampler.set_epoch(epoch)
            return DistributedDataParallel(model), DataLoader(data, batch_size=8, sampler=sampler)
    Reference: https://docs.pytorch.org/tutorials/intermediate/ddp_tutorial.html
    """
    wraps = any(
        source.called(call).endswith(("DistributedDataParallel", "FullyShardedDataParallel", "nn.parallel.DDP"))
        for call in source.calls
    )
    if not wraps or source.mentions(r"sampler|shard|split_by|IterableDataset|prepare\("):
        return
    for call in source.calls:
        if source.called(call).endswith("DataLoader"):
            yield Found(call, "no sampler divides the data among the ranks")


def blended_labels(source: Source) -> Iterator[Found]:
    """A mask of classes resized like a picture.

    Why: Bilinear interpolation between class 2 and class 8 gives class 5, all along every border.
    Fix: Resize masks with mode="nearest".
    Bad:
        import torch.nn.functional as F
        def resize(image, mask):
            image = F.interpolate(image, size=(64, 64), mode="bilinear")
            mask = F.interpolate(mask, size=(64, 64), mode="bilinear")
            return image, mask
    Good:
        import torch.nn.functional as F
        def resize(image, mask):
            image = F.interpolate(image, size=(64, 64), mode="bilinear")
            mask = F.interpolate(mask, size=(64, 64), mode="nearest")
            return image, mask
    """
    smooth = re.compile(r"bilinear|bicubic|linear|lanczos|antialias", re.IGNORECASE)
    for call in source.calls:
        name = source.called(call)
        if name.endswith("functional.interpolate"):
            given, mode = argument(call, 0, "input"), argument(call, 3, "mode")
        elif attribute(call) == "resize" or name.endswith(("functional.resize", "cv2.resize")):
            given = (
                argument(call, 0, "img", "src")
                if name.endswith(("functional.resize", "cv2.resize"))
                else receiver(call)
            )
            mode = keyword(call, "interpolation", "resample")
            if mode is None and attribute(call) == "resize" and len(call.args) > 1:
                mode = call.args[-1]
        else:
            continue
        subject = given
        while isinstance(subject, ast.Call | ast.Subscript):
            subject = subject.value if isinstance(subject, ast.Subscript) else getattr(subject.func, "value", None)
        if mode is None or subject is None or not _MASK.search(last_word(subject)) or _is_soft(source, call, subject):
            continue
        word = mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else last_word(mode)
        if smooth.search(word):
            is_text = isinstance(mode, ast.Constant) and name.endswith("functional.interpolate")
            edits = [replace(source, mode, '"nearest"')] if is_text else []
            yield Found(call, f"{last_word(subject)} holds classes, and {word} blends them", tuple(edits))


def _is_soft(source: Source, call: ast.Call, subject: ast.AST) -> bool:
    """Whether a mask holds scores rather than classes: by its name, or by what is done to it around."""
    around = source.scope(call)
    text = source.code(around) if isinstance(around, Function) else ""
    named = re.search(r"pred|source|input|output|low_res|soft|prob|logit", last_word(subject))
    return bool(named or re.search(r"sigmoid|threshold|logit|prob", text))


def unseeded_split(source: Source) -> Iterator[Found]:
    """A split that changes from run to run.

    Why: A resumed or repeated run validates on samples that the first one trained on.
    Fix: Pass a generator with a fixed seed.
    Bad:
        from torch.utils.data import random_split
        def split(data):
            return random_split(data, [0.9, 0.1])
    Good:
        import torch
        from torch.utils.data import random_split
        def split(data):
            return random_split(data, [0.9, 0.1], generator=torch.Generator().manual_seed(0))
    Reference: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split
    """
    if re.search(r"manual_seed|seed_everything|set_seed|seed_all", source.text):
        return
    for call in source.calls:
        name = source.called(call)
        if name.endswith("utils.data.random_split") and argument(call, 2, "generator") is None:
            seeded = give(source, call, "generator=torch.Generator().manual_seed(0)", "torch")
            yield Found(call, "no seed fixes which samples are held out", (seeded,))
        elif name.endswith("train_test_split") and keyword(call, "random_state", "shuffle") is None:
            seeded = give(source, call, "random_state=0")
            yield Found(call, "no seed fixes which samples are held out", (seeded,))


def never_shuffled(source: Source) -> Iterator[Found]:
    """Training data in the order of the disk.

    Why: Files lie sorted by class or by time: each batch holds one kind, and every epoch has the same batches.
    Fix: Pass shuffle=True, or a sampler that shuffles.
    Bad:
        from torch.utils.data import DataLoader
        def build(data):
            train_loader = DataLoader(data, batch_size=32)
            return train_loader
    Good:
        from torch.utils.data import DataLoader
        def build(data):
            train_loader = DataLoader(data, batch_size=32, shuffle=True)
            return train_loader
    Reference: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
    """
    if source.mentions(r"Iterable|webdataset|streaming|shuffle\(|randperm|permutation"):
        return
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        call, name = node.value, last_word(node.targets[0])
        if not source.called(call).endswith("utils.data.DataLoader") or unpacks(call):
            continue
        if (
            re.match(r"train(ing)?_?(loader|dl|data_?loader)$", name)
            and keyword(call, "sampler", "batch_sampler") is None
        ):
            order = argument(call, 2, "shuffle")
            if order is None:
                yield Found(call, f"{name} keeps the order of its dataset", (give(source, call, "shuffle=True"),))
            elif isinstance(order, ast.Constant) and not order.value:
                yield Found(call, f"{name} keeps the order of its dataset", (replace(source, order, "True"),))


def augmented_apart(source: Source) -> Iterator[Found]:
    """An image moved without its mask.

    Why: Flipped, cropped or turned on its own, the image no longer lies over its labels: every such sample is wrong.
    Fix: Draw once, and apply it to both.
    Bad:
        import random
        import torchvision.transforms.functional as TF
        def augment(image, mask):
            if random.random() < 0.5:
                image = TF.hflip(image)
            return image, mask
    Good:
        import random
        import torchvision.transforms.functional as TF
        def augment(image, mask):
            if random.random() < 0.5:
                image = TF.hflip(image)
                mask = TF.hflip(mask)
            return image, mask
    """
    for function in source.functions:
        given = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}
        given |= {last_word(node.targets[0]) for node in source.within(function) if isinstance(node, ast.Assign)}
        masks = {name for name in given if _MAP.search(name)}
        images = {name for name in given if re.search(r"^(img|image|x|picture|input)s?$", name)}
        if not masks or not images:
            continue
        for node in source.within(function):
            if isinstance(node, ast.If) and "rand" in source.code(node.test) and not node.orelse:
                assigned = [each for each in node.body if isinstance(each, ast.Assign)]
                moved = {last_word(each.targets[0]) for each in assigned if _moves(each)}
                others = {last_word(each.targets[0]) for each in assigned} - images
                if moved & images and not others and not any(last_word(word) in masks for word in ast.walk(node)):
                    yield Found(node, f"{sorted(moved & images)[0]} moves, and {sorted(masks)[0]} does not")
        yield from _drawn_twice(source, function, images, masks)


def _moves(node: ast.Assign) -> bool:
    """Whether a statement changes where things are in an image."""
    if isinstance(node.value, ast.Subscript):
        return "::-1" in ast.unparse(node.value.slice).replace(" ", "")
    geometric = re.compile(r"flip|rotate|rot90|crop|affine|perspective|elastic|shear")
    return isinstance(node.value, ast.Call) and bool(geometric.search(last_word(node.value.func)))


def _drawn_twice(source: Source, function: Function, images: set[str], masks: set[str]) -> Iterator[Found]:
    """A random transform that is called on an image and once more on its mask."""
    if re.search(r"manual_seed|random\.seed|set_rng_state|getstate|get_params", source.code(function)):
        return
    used: dict[str, set[str]] = {}
    for call in source.calls_in(function):
        if len(call.args) == 1:
            used.setdefault(source.code(call.func), set()).add(last_word(call.args[0]))
    for call in source.calls_in(function):
        on = used.get(source.code(call.func), set())
        if not (on & images and on & masks and call.args and last_word(call.args[0]) in masks):
            continue
        made = next((each.value for each in source.nodes if _assigns(each, last_word(call.func))), None)
        if made is not None:
            kinds = {last_word(each.func) for each in ast.walk(made) if isinstance(each, ast.Call)}
            if any(re.match(r"Random(\w*Crop|\w*Flip|Rotation|Affine|Perspective)", kind) for kind in kinds):
                yield Found(call, f"{source.code(call.func)} draws once for the image and once more for the mask")


def _assigns(node: ast.AST, name: str) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and bool(name) and last_word(node.targets[0]) == name


def channels_of_opencv(source: Source) -> Iterator[Found]:
    """Blue taken for red.

    Why: cv2.imread gives BGR. Pretrained weights and their mean and deviation are of RGB: the model sees other colors
    than it was trained on, and scores a few points less.
    Fix: cv2.cvtColor(image, cv2.COLOR_BGR2RGB) right after reading.
    Bad:
        import cv2
        import torch
        MEAN = torch.tensor([0.485, 0.456, 0.406])
        def read(path):
            return torch.from_numpy(cv2.imread(path)) / 255 - MEAN
    Good:
        import cv2
        import torch
        MEAN = torch.tensor([0.485, 0.456, 0.406])
        def read(path):
            image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
            return torch.from_numpy(image) / 255 - MEAN
    """
    of_rgb = re.search(r"0\.485|fromarray|pretrained|weights=|timm\.", source.text)
    turned = re.search(r"cvtColor|COLOR_|::\s*-1|\[2, 1, 0\]|\.flip\(|bgr|GRAYSCALE|imread\([^)]*, 0\)", source.text)
    if of_rgb and not turned:
        for call in source.calls:
            if source.called(call) == "cv2.imread":
                yield Found(call, "it gives BGR, and nothing turns it into RGB")


RULES = [
    rule(find)
    for find in (
        same_randomness_in_workers,
        sampler_without_epoch,
        every_rank_all_data,
        blended_labels,
        unseeded_split,
        never_shuffled,
        augmented_apart,
        channels_of_opencv,
    )
]
