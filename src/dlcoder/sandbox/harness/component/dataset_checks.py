"""Checks of datasets, loaders, samplers, transforms and splits."""

from __future__ import annotations

import os
import pickle
import re
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from . import judge, planted
from .core import Battery, Broken, Measured, Skip, reseed
from .dataset import DatasetCase, leaves, same

BATTERY: Battery[DatasetCase] = Battery("dataset")
check = BATTERY.check


@check("items")
def items(case: DatasetCase) -> Measured:
    """First, last and middle items: finite, alike in structure, as the contract says."""
    case.need("map")
    made = case.make()
    size = len(made)
    where = case.source.point(r"def __len__", r"return len", r"len\(")
    try:
        found = [made[index] for index in sorted({0, size // 2, size - 1})]
    except IndexError as error:
        why = f"len() is {size}, but item {size - 1} does not exist."
        raise Broken(f"IndexError: {error}", f"{size} items", why, f"Correct the length at {where}.") from error
    base = [(leaf.dtype, leaf.dim()) for leaf in leaves(found[0])]
    for item in found:
        if [(leaf.dtype, leaf.dim()) for leaf in leaves(item)] != base:
            raise Broken(
                "another structure", "alike items", "Items differ in dtype or rank.", "Return the same for all."
            )
        for leaf in leaves(item):
            if leaf.is_floating_point() and not judge.finite(leaf):
                line = case.source.point(r"/|std|log|div")
                raise Broken("nan or inf", "finite", "An item is not finite.", f"Guard {line}.")
    _as_stated(case, found)
    shapes = ", ".join(f"{tuple(leaf.shape)} {str(leaf.dtype)[6:]}" for leaf in leaves(found[0]))
    return Measured(f"{size} items of {shapes}", "finite and alike")


def _as_stated(case: DatasetCase, found: list[Any]) -> None:
    stated = case.contract.specs() or []
    for item in found:
        parts = leaves(item) if not isinstance(item, dict) else []
        for index, spec in enumerate(stated):
            value = item.get(spec.name) if isinstance(item, dict) else (parts[index] if index < len(parts) else None)
            if not isinstance(value, Tensor):
                continue
            wanted = case.contract.shape(spec.shape)
            dtype = getattr(torch, spec.dtype, None) if spec.dtype else None
            line = case.source.point(
                rf"{spec.name}.*(/|float|long|permute|to\()", r"/\s*255|float\(|long\(|permute", r"return"
            )
            if tuple(value.shape) != wanted:
                raise Broken(f"{spec.name} {tuple(value.shape)}", f"{wanted}", "The shape differs.", f"Check {line}.")
            if dtype is not None and value.dtype != dtype:
                raise Broken(f"{spec.name} {value.dtype}", f"{dtype}", "The dtype differs.", f"Convert at {line}.")
            low, high = judge.number(value.min()), judge.number(value.max())
            end = None if spec.high is None else spec.high - (0 if value.is_floating_point() else 1)
            if (spec.low is not None and low < spec.low - 1e-6) or (end is not None and high > end + 1e-6):
                span = f"[{spec.low}, {spec.high}]"
                raise Broken(f"{spec.name} in [{low:.4g}, {high:.4g}]", span, "Out of range.", f"Scale at {line}.")


@check("alignment")
def alignment(case: DatasetCase) -> Measured:
    """Every sample is there once, with its own label."""
    case.need("map")
    if case.kind != "labels":
        raise Skip("no labels could be planted")
    made = case.make()
    where = case.source.point(r"def __len__", r"return len|//|- ?1")
    if "dataset" not in case._planted and len(made) != planted.COUNT:
        raise Broken(
            f"{len(made)} items", f"{planted.COUNT}", "The dataset loses or invents samples.", f"Correct {where}."
        )
    wrong = []
    for index in range(len(made)):
        whole = [int(leaf) for leaf in leaves(made[index]) if leaf.dim() == 0 and not leaf.is_floating_point()]
        if not whole:
            raise Skip("no integer label in the items")
        if planted.labels()[index] not in whole:
            wrong.append(index)
    if not wrong:
        return Measured(f"{len(made)} of {planted.COUNT} labels right", "each sample with its own label")
    line = case.source.point(r"labels?\[|targets?\[|[-+] ?1|ys?\[", r"sort|shuffle|randperm", r"return")
    raise Broken(
        f"{len(wrong)} of {len(made)} labels wrong, first at {wrong[0]}",
        "0",
        "Samples come with another label than their own.",
        f"Index image and label alike, without an offset, at {line}.",
    )


@check("pure")
def pure(case: DatasetCase) -> Measured:
    """One item, taken again under the same seed, is the same; the stored data stays as it was."""
    case.need("map")
    made = case.make()
    taken = []
    for _ in range(3):
        reseed(5)
        _seed_numpy(5)
        taken.append(made[0])
        taken[-1] = [leaf.clone() for leaf in leaves(taken[-1])]
    changed = case.untouched(made)
    where = case.source.point(r"\w_\((?!_)|\]\s*=[^=]|[-+*/]=", r"default_rng|Generator\(|Random\(")
    private = case.source.first(r"default_rng|Generator\(|Random\(")
    if changed or (not same(taken[0], taken[1]) and not private):
        raise Broken(
            f"{', '.join(changed) or 'item 0'} changes on access",
            "unchanged",
            "Taking an item changes the stored data: the second epoch sees something else.",
            f"Copy before writing at {where}: image.clone(), or out-of-place operations.",
        )
    return Measured("unchanged", "unchanged")


def _seed_numpy(seed: int) -> None:
    import sys

    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


def _image_and_mask(item: Any) -> tuple[Tensor, Tensor] | None:
    """The floating or color image `(3, H, W)` and the mask `(H, W)` of an item."""
    image = mask = None
    for leaf in leaves(item):
        if leaf.dim() == 3 and 3 in (leaf.shape[0], leaf.shape[-1]) and image is None:
            image = leaf if leaf.shape[0] == 3 else leaf.permute(2, 0, 1)
        elif leaf.dim() >= 2 and leaf.numel() == leaf.shape[-1] * leaf.shape[-2]:
            mask = leaf.reshape(leaf.shape[-2], leaf.shape[-1])
    return None if image is None or mask is None else (image.double(), mask)


@check("geometry")
def geometry(case: DatasetCase) -> Measured:
    """The color of every pixel still tells its label, over many draws."""
    case.need("map")
    if case.kind not in ("masks", "files"):
        raise Skip("no image with a mask could be planted")
    made = case.make()
    worst = 0.0
    for draw in range(24):
        reseed(draw)
        _seed_numpy(draw)
        pair = _image_and_mask(made[draw % len(made)])
        if pair is None:
            raise Skip("the items hold no image with a mask")
        if tuple(pair[0].shape[-2:]) != tuple(pair[1].shape):
            line = case.source.point(r"resize|crop|interpolate|mask")
            sizes = f"image {tuple(pair[0].shape)}, mask {tuple(pair[1].shape)}"
            raise Broken(sizes, "equal sizes", "Image and mask differ in size.", f"Treat both alike at {line}.")
        worst = max(worst, _disagreement(*pair))
    if worst < 0.35:
        return Measured(f"unexplained color {worst:.0%}", "< 35%")
    line = case.source.point(r"flip|crop|rot|resize|transpose|affine|roll", r"transform|augment", r"rand")
    raise Broken(
        f"unexplained color {worst:.0%}",
        "< 35%",
        "Image and mask are moved differently: pixels carry other pixels' labels.",
        f"Draw the parameters once and apply them to both at {line}.",
    )


def _disagreement(image: Tensor, mask: Tensor) -> float:
    """The share of the image's variance that the labels do not explain."""
    gray = image.mean(dim=0)
    total = judge.number(gray.var(unbiased=False))
    if total < 1e-9:
        return 0.0
    inside = 0.0
    for value in mask.unique():
        part = gray[mask == value]
        inside += judge.number(part.var(unbiased=False)) * part.numel()
    return inside / mask.numel() / total


@check("mask-values")
def mask_values(case: DatasetCase) -> Measured:
    """No label appears that was not planted."""
    case.need("map")
    if case.kind not in ("masks", "files"):
        raise Skip("no image with a mask could be planted")
    made = case.make()
    allowed = {*planted.MASK_VALUES, 255, -100}
    if case.contract.ignore_index is not None:
        allowed.add(case.contract.ignore_index)
    for draw in range(16):
        reseed(draw)
        pair = _image_and_mask(made[draw % len(made)])
        if pair is None:
            raise Skip("the items hold no image with a mask")
        found = {round(float(value), 6) for value in pair[1].unique()}
        if not found <= allowed:
            if len(found) <= len(allowed) and all(value == int(value) and value < 5 for value in found):
                raise Skip("the labels are mapped to others")
            line = case.source.point(r"bilinear|bicubic|interpolate|resize|antialias|rotate|affine|/", r"mask")
            raise Broken(
                f"new values {sorted(found - allowed)[:4]}",
                f"a subset of {sorted(planted.MASK_VALUES)} and the ignored label",
                "The mask is interpolated or scaled: labels appear that no one drew.",
                f"Use nearest for the mask, and no scaling, at {line}.",
            )
    return Measured("no new value", "a subset of what was planted")


@check("worker-randomness")
def worker_randomness(case: DatasetCase) -> Measured:
    """Two workers over two epochs draw different augmentations."""
    case.need("map")
    made = case.make()
    line = case.source.point(r"default_rng|Generator\(|Random\(|\bseed\(|manual_seed", r"rand|choice|uniform")
    if not case.is_random(made):
        if _reseeds_every_item(case):
            why = "The augmentation is drawn from a generator that starts anew for every item."
            raise Broken("item 0 is always the same", "it varies", why, f"Do not seed per item at {line}.")
        raise Skip("its items do not vary")
    epochs = [_drawn(made), _drawn(made)]
    why = ""
    if all(same(a, b) for a, b in zip(epochs[0][0::2], epochs[0][1::2])):
        why = "Both workers draw the same augmentations."
    elif all(same(a, b) for a, b in zip(*epochs)):
        why = "Every epoch draws the same augmentations."
    if not why:
        return Measured("2 workers x 2 epochs differ", "all differ")
    fix = (
        f"Draw from torch's or the worker's generator (seeded by torch.initial_seed() in the worker) instead of {line}."
    )
    raise Broken("equal draws", "different draws", why, fix)


def _reseeds_every_item(case: DatasetCase) -> bool:
    """Whether an augmentation draws from a generator with a constant seed, made inside `__getitem__`."""
    augments = case.source.first(r"flip|jitter|augment|RandomCrop|crop")
    seeded = case.source.first(r"manual_seed\(|default_rng\(|Random\(|\.seed\(")
    by_index = case.source.first(r"(manual_seed|default_rng|Random|seed)\(.*\b(index|idx|i|item)\b")
    return bool(augments and seeded and not by_index)


def _drawn(made: Any) -> list[Any]:
    """Item 0, taken 16 times by two workers in turn."""
    loader = DataLoader(made, batch_size=None, sampler=[0] * 16, num_workers=2)
    return [[leaf.clone() for leaf in leaves(item)] for item in loader]


@check("eval-fixed")
def eval_fixed(case: DatasetCase) -> Measured:
    """The evaluation form gives the same items in the same order."""
    case.need("map")
    changes = case.eval_changes()
    if not changes:
        raise Skip("the constructor has no evaluation form (contract.eval_init)")
    try:
        made = case.make(**changes)
        count = min(len(made), 8)
        first = [made[index] for index in range(count)]
        second = [[made[index] for index in range(count)] for _ in range(4)]
    except (ValueError, FileNotFoundError, KeyError) as error:
        raise Skip(f"{changes} is refused: {error}") from error
    if count and all(same(first, other) for other in second):
        return Measured(f"{count} items equal in 5 passes", "equal")
    setting = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    line = case.source.point(r"if .*(train|augment|split|mode)", r"rand|flip|augment|choice")
    why = f"With {setting} the items still vary: the metric is noise."
    raise Broken("items vary", "equal passes", why, f"Augment only in training at {line}.")


@check("splits-disjoint")
def splits_disjoint(case: DatasetCase) -> Measured:
    """No sample is in two splits."""
    if case.form == "split":
        return _split_function(case)
    case.need("map")
    changes = case.eval_changes()
    key = next(iter(changes), "")
    if key not in ("split", "train", "mode", "subset", "is_train"):
        raise Skip("the constructor has no split")
    train_value = {"train": True, "is_train": True}.get(key, "train")
    try:
        train, val = case.make(**{key: train_value}), case.make(**changes)
        if key in ("train", "is_train") and len(train) == len(val) and case.kind != "files":
            raise Skip(f"{key} does not choose samples, it seems: both forms have {len(val)}")
        if case.is_random(train) or case.is_random(val):
            raise Skip("augmented items cannot be recognised")
        seen = {_fingerprint(train[index]) for index in range(len(train))}
        shared = sum(_fingerprint(val[index]) in seen for index in range(len(val)))
    except (ValueError, FileNotFoundError, KeyError) as error:
        raise Skip(f"a split is refused: {error}") from error
    if not shared:
        return Measured(f"{len(train)} and {len(val)} items, none shared", "none shared")
    line = case.source.point(r"split|train|\[:|:\]", r"randperm|shuffle")
    raise Broken(
        f"{shared} of {len(val)} validation items are in training",
        "0",
        "Validation measures memory.",
        f"Cut the list once, [:n] and [n:], at {line}.",
    )


def _fingerprint(item: Any) -> tuple[Any, ...]:
    return tuple(tuple(round(float(v), 5) for v in leaf.double().flatten()[:64]) for leaf in leaves(item))


def _split_function(case: DatasetCase) -> Measured:
    parts = [_indices(part) for part in case.make()]
    again = parts
    if any(re.search(r"seed|generator|random_state|rng", name) for name in case.builder.parameters):
        again = [_indices(part) for part in case.builder.construct()]
    line = case.source.point(r"\[[^\]]*:|randperm|shuffle|sample|split")
    for left in range(len(parts)):
        for right in range(left + 1, len(parts)):
            shared = set(parts[left]) & set(parts[right])
            if shared:
                why = "A sample is in two splits: validation measures memory."
                raise Broken(f"{len(shared)} shared", "0", why, f"Cut once, [:n] and [n:], at {line}.")
    if parts != again and case._planted:
        raise Broken("another split each time", "equal", "One seed gives two splits.", f"Use the seed at {line}.")
    total = sum(map(len, parts))
    if case._planted and total < planted.COUNT:
        raise Broken(
            f"{total} of {planted.COUNT}", "all samples", "Samples are lost between the splits.", f"Correct {line}."
        )
    return Measured(" + ".join(str(len(part)) for part in parts), "disjoint and complete")


def _indices(part: Any) -> list[Any]:
    if isinstance(part, DataLoader):
        part = part.dataset
    if isinstance(part, Subset):
        return list(part.indices)
    if hasattr(part, "__getitem__") and not isinstance(part, (list, tuple, range)):
        return [_fingerprint(part[index]) for index in range(len(part))]
    found = []
    for value in part:
        flat = leaves(value)
        found.append(_fingerprint(value) if flat else value)
    return found


@check("sharded")
def sharded(case: DatasetCase) -> Measured:
    """With two workers every item comes once; with two ranks, too, where it knows ranks."""
    case.need("iterable")
    alone = [_fingerprint(item) for item in case.make()]
    loader = DataLoader(case.make(), batch_size=None, num_workers=2)
    both = [_fingerprint(item) for item in loader]
    line = case.source.point(r"get_worker_info|worker", r"def __iter__", r"yield")
    if sorted(both, key=repr) != sorted(alone, key=repr):
        raise Broken(
            f"{len(both)} items with 2 workers, {len(alone)} without ({len(set(both))} distinct)",
            "each item once",
            "Workers repeat or lose items.",
            f"Take every num_workers-th item from worker id on, by get_worker_info(), at {line}.",
        )
    if case.source.first(r"get_rank|world_size|\bRANK\b|num_replicas"):
        _rank_shards(case, alone, line)
    return Measured(f"{len(alone)} items, each once", "each item once")


def _rank_shards(case: DatasetCase, alone: list[Any], line: str) -> None:
    import torch.distributed as dist

    names = ("is_available", "is_initialized", "get_rank", "get_world_size")
    saved = {name: getattr(dist, name, None) for name in names}
    parts: list[list[Any]] = []
    try:
        for rank in (0, 1):
            os.environ["RANK"], os.environ["WORLD_SIZE"] = str(rank), "2"
            fakes = {"is_available": True, "is_initialized": True, "get_rank": rank, "get_world_size": 2}
            for name, value in fakes.items():
                setattr(dist, name, lambda *args, v=value, **kwargs: v)
            changes = {
                n: v
                for n, v in (("rank", rank), ("world_size", 2), ("num_replicas", 2))
                if n in case.builder.parameters
            }
            parts.append([_fingerprint(item) for item in case.make(**changes)])
    finally:
        for name, function in saved.items():
            if function is not None:
                setattr(dist, name, function)
        os.environ.pop("RANK", None)
        os.environ.pop("WORLD_SIZE", None)
    if set(parts[0]) & set(parts[1]) or len(set(parts[0]) | set(parts[1])) < len(set(alone)) - 1:
        shared = len(set(parts[0]) & set(parts[1]))
        why = "Ranks train on the same items, or items are lost."
        raise Broken(f"{shared} items on both ranks", "0", why, f"Shard by rank as well as by worker at {line}.")


@check("ranks")
def ranks(case: DatasetCase) -> Measured:
    """The ranks' indices together are the dataset: at most padding twice, or the last global batch left out."""
    case.need("sampler")
    replicas = next((n for n in ("num_replicas", "world_size") if n in case.builder.parameters), None)
    if replicas is None or "rank" not in case.builder.parameters:
        raise Skip("the sampler knows no ranks")
    line = case.source.point(r"\[self\.rank|rank", r"num_replicas|world", r"yield|return iter")
    replaced = case.source.first(r"replacement\s*=\s*True|multinomial|randint|choices\(")
    for world in (2, 3, 4):
        parts = [_flat(case.make(**{replicas: world, "rank": rank})) for rank in range(world)]
        drawn = [index for part in parts for index in part]
        missing = set(range(planted.COUNT)) - set(drawn)
        unequal = len({len(part) for part in parts}) != 1
        if unequal and not case.source.mentions(("differ by", "unequal", "uneven", "no duplicate", "without padding")):
            sizes = [len(part) for part in parts]
            raise Broken(
                str(sizes), "equal lengths", "Ranks get unequal numbers: one waits forever.", f"Pad at {line}."
            )
        if replaced:
            if any(part == parts[0] for part in parts[1:]):
                raise Broken(
                    "equal draws",
                    "draws of their own",
                    "Two ranks draw alike.",
                    f"Give each rank its own part at {line}.",
                )
            continue
        left_out = world * _batch_size(case.make(**{replicas: world, "rank": 0}))
        if len(missing) >= left_out:
            why = f"With {world} ranks, {len(missing)} samples are never drawn."
            raise Broken(f"{len(missing)} missing", f"< {left_out}", why, f"Correct the shard at {line}.")
        if len(drawn) - len(set(drawn)) >= world * max(1, len(parts[0]) // 8 + 1):
            twice = len(drawn) - len(set(drawn))
            why = f"With {world} ranks, {twice} draws repeat others."
            raise Broken(f"{twice} repeated", f"< {world}", why, f"Give each rank its own part at {line}.")
    return Measured("2, 3 and 4 ranks", "disjoint up to padding, complete")


def _batch_size(sampler: Any) -> int:
    """Samples in what it yields: 1 unless these are batches."""
    return max((len(value) for value in sampler if isinstance(value, (list, tuple))), default=1)


def _flat(sampler: Any) -> list[int]:
    found: list[int] = []
    for value in sampler:
        found += [int(v) for v in value] if isinstance(value, (list, tuple)) else [int(value)]
    return found


@check("epochs")
def epochs(case: DatasetCase) -> Measured:
    """set_epoch changes the order, and the same epoch repeats it."""
    case.need("sampler")
    made = case.make()
    if not hasattr(made, "set_epoch"):
        raise Skip("it has no set_epoch")
    orders = []
    for epoch in (0, 1, 0):
        made.set_epoch(epoch)
        reseed(17 + epoch)
        orders.append(_flat(made))
    line = case.source.point(r"epoch", r"manual_seed|Generator|randperm")
    if orders[0] != orders[2]:
        why = "The same epoch gives another order on another rank or after a resume."
        raise Broken("epoch 0 varies", "equal", why, f"Seed a generator with seed + epoch at {line}.")
    if orders[0] == orders[1] and orders[0] != sorted(orders[0]):
        raise Broken(
            "epoch 0 = epoch 1", "different", "Every epoch has one order.", f"Add the epoch to the seed at {line}."
        )
    return Measured("epochs differ, repeats agree", "a new order per epoch")


@check("batches")
def batches(case: DatasetCase) -> Measured:
    """A loader over it gives all batches, the last of one sample included."""
    case.need("map")
    made = case.make()
    collate = _collate(case)
    # The last item beside the first: where lengths run out, it differs. An odd number leaves a batch of one.
    chosen = [0, len(made) - 1, *range(1, max(min(len(made) - 1, 4), 1))]
    subset = Subset(made, chosen if len(chosen) % 2 else chosen[:-1])
    try:
        sizes = [len(leaves(batch)[0]) for batch in DataLoader(subset, batch_size=2, collate_fn=collate)]
    except Exception as error:
        line = case.source.raised_at(error) or case.source.point(r"def __getitem__", r"return")
        fix = f"Return tensors of equal shapes at {line}, or name a collate function in contract.collate_fn."
        raise Broken(f"{type(error).__name__}: {error}", "batches", "Its items do not form a batch.", fix) from error
    return Measured(f"{len(sizes)} batches of a loader", "all of them, the last of one sample")


def _collate(case: DatasetCase) -> Any:
    name = case.contract.get("collate_fn")
    module = case.builder.module
    if name:
        return getattr(module, name)
    own = [
        v
        for k, v in vars(module).items()
        if re.search(r"collate", k) and callable(v) and v.__module__ == module.__name__
    ]
    made = case.make()
    return getattr(made, "collate_fn", own[0] if own else None)


@check("picklable")
def picklable(case: DatasetCase) -> Measured:
    """A worker that is spawned can receive it."""
    case.need("map", "iterable")
    try:
        pickle.loads(pickle.dumps(case.make()))
    except Exception as error:
        line = case.source.point(r"lambda", r"open\(|h5py|lmdb|connect\(|Lock\(", r"yield|def __init__")
        fix = f"Replace the lambda by a function, or open the file on first use, at {line}."
        why = "It cannot be sent to a worker that is spawned (macOS, Windows, Python 3.14)."
        raise Broken(f"{type(error).__name__}: {error}", "picklable", why, fix) from error
    return Measured("pickles", "picklable")


@check("covers")
def covers(case: DatasetCase) -> Measured:
    """An evaluation loader, or a sampler on its own, gives every sample once."""
    if case.form == "sampler":
        return _sampled_once(case)
    if case.form == "split" and all(isinstance(part, DataLoader) for part in case.make()):
        loader = case.make()[-1]
    else:
        case.need("loader")
        loader = case.make(**case.eval_changes())
    counted = sum(len(leaves(batch)[0]) for batch in loader)
    total = len(loader.dataset)
    if counted == total or isinstance(loader.sampler, torch.utils.data.RandomSampler):
        return Measured(f"{counted} of {total} samples", "all")
    line = case.source.point(r"drop_last", r"DataLoader\(")
    why = "Samples are left out of the evaluation."
    raise Broken(f"{counted} of {total} samples", "all", why, f"drop_last=False for evaluation at {line}.")


_CHOOSES = (
    r"weight|replacement|balanc|sampl\w*_per|infinite|subset|choice|multinomial|randint|per_class|repeat|oversamp"
)


def _sampled_once(case: DatasetCase) -> Measured:
    """One pass of a sampler: no index twice, none missing but those of a last batch that is left out."""
    if re.search(_CHOOSES, case.source.text, re.I) or "rank" in case.builder.parameters:
        raise Skip("it chooses samples, or shares them out")
    sampler = case.make()
    drawn = _flat(sampler)
    line = case.source.point(r"range\(|\[.*:", r"yield|return iter")
    twice, missing = len(drawn) - len(set(drawn)), set(range(planted.COUNT)) - set(drawn)
    if max(drawn, default=0) >= planted.COUNT:
        raise Skip("it draws other indices than those of the samples")
    if twice:
        raise Broken(f"{twice} drawn twice", "0", "A pass draws samples more than once.", f"Correct {line}.")
    full = [size for size in map(len, (v for v in sampler if isinstance(v, (list, tuple))))]
    dropped = len(set(full)) <= 1 and len(missing) < max(full, default=1) and case.builder.default("drop_last")
    if missing and not dropped:
        why = f"A pass never draws {len(missing)} of the samples."
        raise Broken(f"{len(missing)} missing", "0", why, f"Go to the end of the list at {line}.")
    return Measured(f"{len(drawn)} of {planted.COUNT}", "each once")
