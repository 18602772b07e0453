"""A dataset under examination: also samplers, transforms, loaders and splits, each brought into a form to look at."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Iterator
from typing import Any, Callable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from . import judge, planted
from .build import Builder
from .collate import batches, is_collate, named, record
from .contract import Contract
from .core import Broken, Skip, Subject, reseed
from .pairing import keys_read
from .source import Source
from .trace import tensors


def suits(value: Any) -> float:
    """How much a definition looks like a part of the data pipeline."""
    name = value.__name__
    if inspect.isclass(value):
        if issubclass(value, (Dataset, Sampler)):
            return 4.0
        return 2.0 if {"__getitem__", "__iter__", "__call__"} & set(vars(value)) else 0.0
    if re.search(r"collate|worker_init|seed", name):
        return 0.1
    return 1.5 if re.search(r"split|loader|dataset|transform|augment|get|make|build", name, re.I) else 1.0


class _Transformed(Dataset[Any]):
    """Planted samples under the user's transform."""

    def __init__(self, transform: Callable[..., Any], arity: int, pixels: Tensor, truth: Any) -> None:
        self.transform, self.arity, self.pixels, self.truth = transform, arity, pixels, truth

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Any:
        image = self.pixels[index].clone()
        if self.arity == 1:
            return self.transform(image)
        return self.transform(image, self.truth[index].clone())


class DatasetCase(Subject):
    """What the code makes, and how to look into it.

    Attributes:
        form: "map", "iterable", "sampler", "transform", "loader", "split" or "collate".
        samples: What a collate function is given.
        kind: What was planted: "masks", "labels", "files" or "" (nothing that could be recognised).
    """

    def __init__(self, builder: Builder, contract: Contract, source: Source) -> None:
        self.builder = builder
        self.contract = contract
        self.source = source
        self.form = ""
        self.kind = ""
        self.samples: list[Any] = []
        self._planted: dict[str, Any] = {}
        self._sources: dict[str, Any] = {}

    def prepare(self) -> None:
        """Settle what to plant and what form the result has.

        Raises:
            Broken: Nothing that was tried gives an item.
        """
        planted.write_files(self.contract.get("files") or {})
        target = self.builder.target
        if self._is_collate(target):
            self._as_collate()
            return
        if inspect.isroutine(target) and not self._builds(target):
            self._as_transform(target)
            return
        first: Broken | None = None
        ran: dict[str, Any] | None = None
        for plan in self._plans():
            try:
                self._adopt(plan)
                self._first_item()
                if self.kind != "masks" or self._sized_alike():
                    return
                # Read in another order of dimensions the image may fit its mask; else its size is the code's fault.
                ran = ran or plan
            except Broken as broken:
                first = first or broken
            except Exception as error:
                first = first or self._refused(error)
        if ran is not None:
            return self._adopt(ran)
        raise first or Broken("nothing", "a dataset", "Nothing was built.", "Name the class in contract.target.")

    def _is_collate(self, target: Any) -> bool:
        function = target if inspect.isroutine(target) else vars(target).get("__call__")
        if function is None or issubclass(target if inspect.isclass(target) else object, Dataset):
            return False
        bare = function if inspect.isroutine(target) else functools.partial(function, None)
        return is_collate(target.__name__, bare, inspect.isroutine(target) and self._builds(target))

    def _as_collate(self) -> None:
        """Find samples that it accepts."""
        if self.builder.is_class and inspect.isclass(self.builder.target):
            self._prepare_arguments()
        self.form, first = "collate", None
        for samples in batches(self.source.node_in_focus() or self.source.tree, []):
            self.samples = samples
            try:
                if self.collated():
                    self.contract.assume(f"samples like {_shown(samples[0])}")
                    return
            except Exception as error:
                first = first or self._refused(error)
        raise first or Broken("no tensor", "a batch", "No tensor comes out.", "Return tensors.")

    def _prepare_arguments(self) -> None:
        for name, parameter in self.builder.parameters.items():
            if planted.TOKENIZER.search(name) and parameter.default is parameter.empty:
                self.contract.raw["init"] = {**(self.contract.get("init") or {}), name: planted.Tokenizer()}
        self.builder.prepare()

    def collated(self, samples: list[Any] | None = None) -> dict[str, Tensor]:
        """The tensors of a batch of samples, by name."""
        target = self.builder.target
        function = target if inspect.isroutine(target) else self.builder.build()
        given = [copy.deepcopy(sample) for sample in (self.samples if samples is None else samples)]
        names = list(inspect.signature(function).parameters.values())
        known = {"pad_id": 0, "pad_idx": 0, "pad_token_id": 0, "padding_value": 0, "max_len": 16, "max_length": 16}
        wanted = {p.name: known[p.name] for p in names[1:] if p.default is p.empty and p.name in known}
        return named(function(given, **wanted))

    def _sized_alike(self) -> bool:
        """Whether an item's image has channels first and is as large as its mask."""
        maps = [value for value in leaves(self.make()[0]) if value.dim() >= 2] if self.form == "map" else []
        channels = [value.shape[0] for value in maps if value.dim() == 3]
        return len({tuple(value.shape[-2:]) for value in maps}) < 2 and all(count in (1, 3, 4) for count in channels)

    def _builds(self, target: Any) -> bool:
        names = list(inspect.signature(target).parameters)
        looks = re.search(r"split|loader|dataset|sampler|make|build|get", target.__name__, re.I)
        return bool(looks) or not names or bool(self.contract.get("init"))

    def _refused(self, error: Exception) -> Broken:
        where = self.source.raised_at(error) or "the call"
        fix = f"Correct {where}, or give contract.init (and contract.files) for data that it can read."
        return Broken(
            f"{type(error).__name__}: {error}", "an item", f"Building it or taking item 0 raised at {where}.", fix
        )

    # What to plant.

    def _plans(self) -> Iterator[dict[str, Any]]:
        """Arguments to try: the contract's, with planted data for those that ask for it."""
        given = set(self.contract.get("init") or {})
        required = [
            n
            for n, p in self.builder.parameters.items()
            if n not in given and _is_wanted(n, p) and p.kind not in (2, 4)
        ]
        has_masks = any(planted.MASKS.search(n) and not _records(self._planted_by_use(n)) for n in required)
        for style in ("tensor", "bytes", "numpy", "list"):
            for layout in planted.LAYOUTS:
                plan = {name: self._plant(name, style, layout, has_masks) for name in required}
                plan |= {name: made for name in required if (made := self._planted_by_use(name)) is not None}
                found = {name: value for name, value in plan.items() if value is not None}
                yield found
                if not any(isinstance(value, str) for value in found.values()):
                    break
            if not any(isinstance(value, (Tensor, list)) or hasattr(value, "dtype") for value in found.values()):
                return

    def _planted_by_use(self, name: str) -> Any:
        """What an argument must be by its annotation or by the keys that the code reads: a text, or records."""
        annotation = str(self.builder.parameters[name].annotation)
        texts = r"data|text|corpus|content|raw\w*|source|book"
        if re.fullmatch(texts, name) and re.fullmatch(r"<class 'str'>|str", annotation):
            return planted.corpus()
        records = planted.RECORDS.search(name) or re.fullmatch(r"annotations?|anns|targets|metadata|samples", name)
        keys = keys_read(self.source.node_in_focus() or self.source.tree) if records else []
        return [record(keys, n, "tensor") for n in range(planted.COUNT)] if keys else None

    def _plant(self, name: str, style: str, layout: str, has_masks: bool) -> Any:  # noqa: C901
        if re.search(r"paths|files|filenames", name):
            return None
        if planted.FOLDER.search(name):
            return planted.folder(layout)
        if planted.MASKS.search(name):
            return _styled(planted.masks(), style)
        if re.fullmatch(r"dataset|data_source|base|source|ds", name):
            pixels = planted.plain_images()
            return list(zip(pixels, planted.labels())) if name != "data_source" else list(range(planted.COUNT))
        if planted.IMAGES.search(name):
            boxed = any(re.search(r"box", key) for key in keys_read(self.source.node_in_focus() or self.source.tree))
            pixels = planted.masked_images() if has_masks else planted.plain_images()
            pixels = planted.boxed_images() if boxed and not has_masks else pixels
            return _styled(planted.bytes_of(pixels) if style in ("bytes", "numpy") else pixels, style)
        if planted.LABELS.search(name):
            return planted.labels() if style == "list" else _styled(torch.tensor(planted.labels()), style)
        if planted.SERIES.search(name):
            return _styled(planted.series(), style)
        if planted.TOKENIZER.search(name):
            # A function called tokenize gives ids of one length, as those of contrastive models do.
            return planted.Tokenizer(fixed=12 if name.endswith("tokenize") else 0)
        if planted.TEXTS.search(name):
            return planted.texts()
        if planted.RECORDS.search(name):
            return list(zip(planted.plain_images(), planted.labels()))
        if planted.WAVES.search(name):
            return planted.waves()
        if planted.LENGTHS.search(name):
            return [3 + index * 7 % 11 for index in range(planted.COUNT)]
        if planted.SEQUENCES.search(name):
            return planted.sequences()
        if planted.TOKENS.search(name):
            return _styled(torch.arange(60), style)
        if planted.LENGTH.search(name):
            return planted.COUNT
        if re.fullmatch(r"num_replicas|world_size", name):
            return 1
        if re.fullmatch(r"rank|epoch|seed|index", name):
            return 0
        if re.fullmatch(r"batch_size", name):
            return 4
        return {"split": "train", "mode": "train", "subset": "train", "train": True, "augment": True}.get(name)

    def _adopt(self, plan: dict[str, Any]) -> None:
        self.contract.raw["init"] = {**(self.contract.get("init") or {})}
        self.builder.arguments = {}
        saved = self.contract.raw.get("init")
        self.contract.raw["init"] = {**(saved or {}), **plan}
        try:
            self.builder.prepare()
        finally:
            self.contract.raw["init"] = saved
        self._planted = plan
        self._sources = {n: v.clone() for n, v in plan.items() if isinstance(v, Tensor)}
        names = " ".join(plan)
        self.kind = "masks" if any(planted.MASKS.search(n) and not _records(v) for n, v in plan.items()) else ""
        labelled = any(planted.LABELS.search(n) for n in plan) or plan.get("dataset") is not None
        if not self.kind and labelled:
            self.kind = "labels"
        if any(isinstance(v, str) and "planted-" in v for v in plan.values()):
            self.kind = "files"
        made = self.make()
        self.form = _form(made)
        if not self.form and callable(made):
            self._as_transform(made)
        if not self.form:
            fix = "Name the class or function in contract.target."
            raise Broken(
                type(made).__name__, "a dataset, loader, sampler, transform or split", "Not a data object.", fix
            )
        if names:
            self.contract.assume(f"planted {', '.join(plan)}")

    def _as_transform(self, transform: Callable[..., Any]) -> None:
        function = transform if inspect.isroutine(transform) else type(transform).__call__
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
        drawn = [p.name for p in parameters if re.fullmatch(r"generator|rng", p.name) and p.default is p.empty]
        if drawn:
            transform = functools.partial(transform, **{name: torch.default_generator for name in drawn})
        arity = max(1, sum(p.default is p.empty and p.kind in (0, 1) for p in parameters if p.name not in drawn))
        if arity > 2:
            raise Broken(f"{arity} arguments", "image, or image and mask", "Not a transform.", "Set contract.target.")
        self.form = "map"
        self.kind = "masks" if arity == 2 else ""
        reverse = arity == 2 and planted.MASKS.search(parameters[0].name)
        first, second = planted.masked_images(), planted.masks()
        if reverse:
            first, second = second, first
        made = _Transformed(transform, arity, first if arity == 2 else planted.plain_images(), second)
        self.make = lambda **changes: made  # type: ignore[method-assign]
        self.contract.assume(f"a transform of {arity} argument(s), applied to planted images")
        try:
            made[0]
        except Exception as error:
            raise self._refused(error) from error

    def _first_item(self) -> None:
        made = self.make()
        if self.form == "map":
            if len(made) == 0:
                raise Broken(
                    "no item", "an item", "The dataset is empty for the data that was planted.", "Give contract.init."
                )
            made[0]
        elif self.form in ("iterable", "sampler", "loader"):
            next(iter(made))

    # Using it.

    def make(self, **changes: Any) -> Any:
        """A fresh object, equally seeded; planted tensors are fresh copies."""
        copies = {n: v.clone() for n, v in self._planted.items() if isinstance(v, Tensor)}
        return self.builder.build(**{**copies, **changes})

    def planted_values(self) -> list[Any]:
        """What was planted in the constructor."""
        return list(self._planted.values())

    def need(self, *forms: str) -> None:
        """Skip unless the object has one of these forms.

        Raises:
            Skip: It has another.
        """
        if self.form not in forms:
            raise Skip(f"applies to {', '.join(forms)}; this is {self.form}")

    def untouched(self, made: Any) -> list[str]:
        """Names of planted tensors that were changed in place."""
        return [
            name for name, value in vars(made).items() if isinstance(value, Tensor) for source in self._sources.values()
            if value.shape == source.shape and value.dtype == source.dtype and not judge.identical(value, source)
            and judge.distance(value, source) > 0
        ]  # fmt: skip

    def eval_changes(self) -> dict[str, Any]:
        """Constructor arguments of the evaluation form; empty if there is none."""
        if self.contract.get("eval_init"):
            return dict(self.contract.raw["eval_init"])
        for name, value in _EVAL:
            if name in self.builder.parameters:
                return {name: value}
        return {}

    def is_random(self, made: Any) -> bool:
        """Whether item 0 differs from one access to the next."""
        reseed(3)
        return any(not same(made[0], made[0]) for _ in range(8))


def _records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _shown(sample: Any) -> str:
    """A sample in a few characters."""
    if isinstance(sample, dict):
        return "{" + ", ".join(f"{key}: {_shown(value)}" for key, value in sample.items()) + "}"
    if isinstance(sample, tuple):
        return "(" + ", ".join(map(_shown, sample)) + ")"
    if isinstance(sample, Tensor):
        return f"tensor{tuple(sample.shape)}"
    return f"{type(sample).__name__}"


_RANKS = r"num_replicas|world_size|rank"


def _is_wanted(name: str, parameter: inspect.Parameter) -> bool:
    """Whether an argument is given a value of ours: required ones, masks, and the ranks that default to the world's."""
    ranks = parameter.default is None and re.fullmatch(_RANKS, name)
    return bool(parameter.default is parameter.empty or planted.MASKS.search(name) or ranks)


_EVAL: tuple[tuple[str, Any], ...] = (
    ("split", "val"),
    ("train", False),
    ("training", False),
    ("is_train", False),
    ("mode", "val"),
    ("augment", False),
    ("subset", "val"),
)


def _styled(value: Tensor, style: str) -> Any:
    if style == "numpy":
        try:
            return value.numpy()
        except RuntimeError:
            return value
    return list(value) if style == "list" else value


def _form(made: Any) -> str:
    if isinstance(made, DataLoader):
        return "loader"
    if isinstance(made, IterableDataset):
        return "iterable"
    if isinstance(made, Sampler) or (hasattr(made, "set_epoch") and hasattr(made, "__iter__")):
        return "sampler"
    if isinstance(made, (tuple, list)) and len(made) >= 2 and all(hasattr(part, "__len__") for part in made):
        return "split"
    if hasattr(made, "__getitem__") and hasattr(made, "__len__"):
        return "map"
    return "iterable" if hasattr(made, "__iter__") else ""


def leaves(item: Any) -> list[Tensor]:
    """Every number or tensor of an item, as tensors."""
    if isinstance(item, dict):
        item = [item[key] for key in sorted(item, key=str)]
    if isinstance(item, (list, tuple)):
        return [leaf for part in item for leaf in leaves(part)]
    if isinstance(item, Tensor):
        return [item]
    if isinstance(item, (bool, int, float)):
        return [torch.tensor(item)]
    if hasattr(item, "__array__"):
        try:
            return [torch.as_tensor(item.__array__().copy())]
        except (TypeError, RuntimeError):
            return []
    return tensors(item)


def same(a: Any, b: Any) -> bool:
    """Whether two items hold equal values."""
    first, second = leaves(a), leaves(b)
    return len(first) == len(second) and all(judge.identical(x, y) for x, y in zip(first, second))
