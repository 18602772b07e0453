"""Watches data loaders: which samples come in which order, and makes the data shorter or constant where asked."""

from __future__ import annotations

import itertools
import random
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from .observe import Observer
from .trace import digest, sample_digests, tensors_in

# As they are before they are watched.
_LOAD, _SAVE = torch.load, torch.save
PROBED_ITEMS = 6
REPEATED_BATCHES = 400
SAMPLED_BATCHES = 40
COUNTED = 5000
"""Samples of an iterable data set that are counted."""


class DataWatch:
    """Writes `loader`, `iter`, `batch` and `iter_end` events."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.loaders: list[Any] = []
        self.hold: Any = None
        self.probed: set[int] = set()
        self.first: dict[int, Any] = {}

    def install(self) -> None:
        """Patch `DataLoader`, the samplers' epochs and, where asked, the length of data sets."""
        original = DataLoader.__iter__
        watch = self

        def watched_iter(loader: Any) -> Any:
            if watch.o.asleep:
                return original(loader)
            return _Batches(watch, loader, original(loader))

        setattr(DataLoader, "__iter__", watched_iter)  # noqa: B010
        original_epoch = DistributedSampler.set_epoch

        def set_epoch(sampler: Any, epoch: int) -> None:
            watch.o.trace.write("set_epoch", epoch=epoch)
            original_epoch(sampler, epoch)

        setattr(DistributedSampler, "set_epoch", set_epoch)  # noqa: B010
        if self.o.options.shrink:
            _shorten_datasets(self.o.options.shrink)
        if self.o.options.same_batch:
            self.o.after_step.append(self._hold_random_numbers)

    def _hold_random_numbers(self) -> dict[str, Any]:
        """Put all global generators back to where they were after the first step: every step then draws the same."""
        numpy = sys.modules.get("numpy")
        if self.hold is None:
            self.hold = (torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None)
        else:
            torch.set_rng_state(self.hold[0])
            random.setstate(self.hold[1])
            if numpy and self.hold[2] is not None:
                numpy.random.set_state(self.hold[2])
        return {}

    def index(self, loader: Any) -> int:
        """The loader's number, by order of first use."""
        site = self.o.trace.site()
        for i, (known, where, dataset) in enumerate(self.loaders):
            # A loader made anew for every epoch is the same one.
            if known() is loader or (where == site and dataset is loader.dataset):
                return i
        self.loaders.append((weakref.ref(loader), site, loader.dataset))
        sampler = getattr(loader, "sampler", None)
        groups = getattr(loader, "batch_sampler", None)
        self.o.trace.write(
            "loader",
            i=len(self.loaders) - 1,
            site=site,
            batch_size=loader.batch_size,
            workers=loader.num_workers,
            drop_last=bool(loader.drop_last or getattr(groups, "drop_last", False)),
            group=loader.batch_size or getattr(groups, "batch_size", None),
            sampler=type(sampler).__name__,
            shuffles=_shuffles(loader),
            dataset=type(loader.dataset).__name__,
            length=_length(loader.dataset),
            pin_memory=loader.pin_memory,
            other=[str(loader.timeout), str(loader.prefetch_factor), str(loader.persistent_workers)],
        )
        return len(self.loaders) - 1

    def probe(self, index: int, loader: Any, indices: list[Any]) -> None:
        """Draw items of an evaluation set twice: whatever differs is random augmentation."""
        if index in self.probed or isinstance(loader.dataset, IterableDataset) or not indices:
            return
        self.probed.add(index)
        numpy = sys.modules.get("numpy")
        states = (torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None)
        try:
            with self.o.quiet():
                first = [digest(loader.dataset[i]) for i in indices[:PROBED_ITEMS]]
                torch.manual_seed(12345)
                random.seed(12345)
                if numpy:
                    numpy.random.seed(12345)
                second = [digest(loader.dataset[i]) for i in indices[:PROBED_ITEMS]]
            self.o.trace.write("probe", loader=index, same=first == second)
        except Exception:  # a data set that cannot be indexed so is no failure of the project
            return
        finally:
            torch.set_rng_state(states[0])
            random.setstate(states[1])
            if numpy and states[2] is not None:
                numpy.random.set_state(states[2])

    def count_alone(self, index: int, loader: Any, batches: int) -> None:
        """Read an iterable data set that several workers read once more without them: they must share its samples."""
        iterable = isinstance(loader.dataset, IterableDataset) and loader.num_workers > 1 and loader.batch_size
        if not iterable or index in self.probed:
            return
        self.probed.add(index)
        states, limit = (torch.get_rng_state(), random.getstate()), batches * loader.batch_size
        with self.o.quiet():
            try:
                alone = sum(1 for _ in itertools.islice(iter(loader.dataset), min(limit, COUNTED)))
            except Exception:  # a data set that only works inside a worker is no failure of the project
                return
            finally:
                torch.set_rng_state(states[0])
                random.setstate(states[1])
        if limit <= COUNTED:
            self.o.trace.write("workers", loader=index, workers=loader.num_workers, batches=batches, alone=alone)


class _Batches:
    """A loader's iterator that reports what passes through."""

    def __init__(self, watch: DataWatch, loader: Any, inner: Any) -> None:
        self._watch = watch
        self._loader = loader
        self._inner = inner
        self._index = watch.index(loader)
        self._count = 0
        self._given = 0
        self._indices = _recorded_indices(inner)
        epoch = getattr(getattr(loader, "sampler", None), "epoch", None)
        watch.o.values, watch.o.mark = {}, watch.o.backwards
        watch.o.trace.write("iter", loader=self._index, epoch=epoch if isinstance(epoch, int) else None)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __next__(self) -> Any:
        o = self._watch.o
        held = self._watch.first.get(self._index)
        # Evaluation reads its data as always: it builds no graphs.
        if o.options.same_batch and held is not None and torch.is_grad_enabled():
            usual = _length(self._loader)
            if self._count >= (REPEATED_BATCHES if o.options.stretch or usual is None else usual):
                raise StopIteration
            self._count += 1
            return _clone(held)
        o.in_loader += 1
        try:
            batch = next(self._inner)
        except StopIteration:
            self._ended()
            raise
        finally:
            o.in_loader -= 1
        self._count += 1
        o.batch_size = _size(batch)
        indices, self._given = self._indices[self._given : self._given + o.batch_size], self._given + o.batch_size
        if o.options.same_batch and torch.is_grad_enabled():
            if o.options.hold_path and not self._watch.first:
                batch = _kept(o.options.hold_path, batch)
            self._watch.first.setdefault(self._index, _clone(batch))
        with o.quiet():
            samples = sample_digests(batch) if self._count <= SAMPLED_BATCHES else []
            o.trace.write(
                "batch",
                loader=self._index,
                n=self._count,
                samples=samples,
                indices=[_plain(i) for i in indices],
                digest=digest(batch),
            )
        return batch

    def _ended(self) -> None:
        o = self._watch.o
        o.trace.write("iter_end", loader=self._index, n=self._count, values=o.values if o.backwards == o.mark else {})
        o.values = {}
        if o.options.probe:
            self._watch.count_alone(self._index, self._loader, self._count)
            self._watch.probe(self._index, self._loader, self._indices)


def _kept(path: str, batch: Any) -> Any:
    """The batch that an earlier run left at `path`; the first run leaves its own there."""
    if Path(path).exists():
        return _LOAD(path, weights_only=False)
    _SAVE(batch, path)
    return batch


def _plain(index: Any) -> Any:
    """A sample's number, where a sampler draws it together with the epoch or a seed."""
    return _plain(index[-1]) if isinstance(index, (list, tuple)) and index else index


def _recorded_indices(inner: Any) -> list[Any]:
    """A list that fills with the sample indices as the iterator draws them."""
    drawn: list[Any] = []
    sampler = getattr(inner, "_sampler_iter", None)
    if sampler is None:
        return drawn

    def record() -> Iterator[Any]:
        for item in sampler:
            if len(drawn) < 64:
                drawn.extend(item if isinstance(item, (list, tuple)) else [item])
            yield item

    inner._sampler_iter = record()
    return drawn


def _shuffles(loader: Any) -> bool:
    sampler = getattr(loader, "sampler", None)
    if isinstance(sampler, DistributedSampler):
        return bool(sampler.shuffle)
    return type(sampler).__name__ == "RandomSampler" or bool(getattr(sampler, "shuffle", False))


def _size(batch: Any) -> int:
    first = next((t for t in tensors_in(batch) if t.dim()), None)
    return int(first.shape[0]) if first is not None else 1


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except (TypeError, NotImplementedError):
        return None


def _clone(batch: Any) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch.clone()
    if isinstance(batch, dict):
        return type(batch)({k: _clone(v) for k, v in batch.items()})
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*[_clone(v) for v in batch])
    if isinstance(batch, (list, tuple)):
        return type(batch)([_clone(v) for v in batch])
    return batch


def _shorten_datasets(amount: int) -> None:
    """Make every data set that is defined from now on, and tensor data sets, `amount` samples shorter."""

    def shorter(original: Any) -> Any:
        def length(this: Any) -> int:
            full = int(original(this))
            return full - amount if full > 2 * amount else full

        return length

    def adapt(cls: Any, /, **kwargs: Any) -> None:
        if "__len__" in vars(cls) and not issubclass(cls, IterableDataset):
            cls.__len__ = shorter(vars(cls)["__len__"])

    setattr(TensorDataset, "__len__", shorter(TensorDataset.__len__))  # noqa: B010
    setattr(Dataset, "__init_subclass__", classmethod(adapt))  # noqa: B010
