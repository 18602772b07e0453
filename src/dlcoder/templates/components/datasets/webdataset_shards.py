"""Images and labels in tar files (shards), read from start to end, never at random.

    photos-000000.tar:  0001.jpg  0001.cls  0002.jpg  0002.cls  ...

For datasets too large for random access, on disks that seek slowly, or behind HTTP. The
shards of an epoch are dealt to ranks, then to workers: make them a multiple of ranks
times workers. Within a worker, samples are shuffled in a buffer.

It yields whole batches, for a loader with `batch_size=None`:

    shards = "photos-{000000..000127}.tar"
    data = WebdatasetShards(
        shards, image_size=224, batch_size=64, samples=1_281_167, seed=0
    )
    loader = DataLoader(data, batch_size=None, num_workers=4, persistent_workers=True)
    data.seek(epoch, batch)
    for images, labels in loader: ...

It has `seek` and `len` as `ResumableBatchSampler` has, and takes its place.

The order depends on (seed, epoch), the augmentation on (seed, epoch, sample). Resuming
is exact with the same batch size and numbers of ranks and workers; with others, the
rest of that epoch is another selection of samples. It takes time: what has been used is
read again, though not decoded.

Shapes: images (B, 3, S, S), float32, normalized; labels (B,), int64.
"""

import io
import random
import zlib
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.read_image import SUFFIXES, read_image
from dlcoder.templates.components.datasets.square import square
from dlcoder.templates.components.utils.seeding import mix_seed

try:
    import webdataset
except ImportError as error:
    raise ImportError("WebDataset is needed: pip install webdataset") from error

Batch = tuple[Tensor, Tensor]
Sample = dict[str, Any]
Augment = Callable[[Tensor, torch.Generator], Tensor]


class WebdatasetShards(IterableDataset[Batch]):
    """Batches from one rank's share of the shards.

    For training, `samples` is given: every rank gets equally many full batches, in
    another order in every epoch, and a worker whose shards end early begins with them
    anew. Without it, for evaluation, every sample comes once, in order.

    Args:
        shards: Paths, URLs or commands (`pipe:...`), one string with braces or several.
        image_size: Height and width of the result in pixels, S. The shorter side is
            scaled to it and the middle is cut out.
        batch_size: Samples in a batch of one rank, B.
        seed: What the order and the augmentation depend on.
        num_classes: The number of classes, C: another label is an error. None for any.
        samples: Samples in all shards together; None for evaluation.
        buffer: Samples that a worker shuffles among. As many encoded images stay in
            its memory.
        augment: Called with an image and the generator that it must draw from.
        rank: This process's number.
        world_size: The number of processes, W.

    Raises:
        ValueError: There are too few samples for a batch of every rank.
    """

    def __init__(
        self,
        shards: str | list[str],
        *,
        image_size: int,
        batch_size: int,
        seed: int = 0,
        num_classes: int | None = None,
        samples: int | None = None,
        buffer: int = 1000,
        augment: Augment | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.shards = webdataset.shardlists.expand_source(shards)
        self.image_size = image_size
        self.batch_size = batch_size
        self.seed = seed
        self.num_classes = num_classes
        self.samples = samples
        self.buffer = buffer
        self.augment = augment
        self.rank = rank
        self.world_size = world_size
        # Epoch and first batch. Shared: workers that persist hold copies of the rest.
        self.position = torch.zeros(2, dtype=torch.int64).share_memory_()
        if samples is not None and samples < batch_size * world_size:
            raise ValueError(
                f"{samples} samples do not fill one batch of {batch_size} on "
                f"{world_size} process(es)."
            )

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Let the next iteration begin at `batch` of `epoch`."""
        self.position.copy_(torch.tensor([epoch, batch]))

    def __len__(self) -> int:
        """The batches that a rank gets for training."""
        if self.samples is None:
            raise TypeError("How many samples the shards hold is not known.")
        return self.samples // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[Batch]:
        # Now, not when the first batch is asked for: until then it may have changed.
        epoch, first = self.position.tolist()
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        if self.samples is None:
            return self._batches(self._read(self.shards, worker, workers), epoch)
        if len(self.shards) < self.world_size * workers:
            raise ValueError(
                f"{len(self.shards)} shards are too few for {self.world_size} "
                f"process(es) of {workers} worker(s): each needs one."
            )
        # The loader takes batches from its workers in turn, and begins with number 0:
        # after an interruption, that one goes on for the worker whose turn it was.
        role = (first + worker) % workers
        done, stop = (len(range(role, n, workers)) for n in (first, len(self)))
        samples = self._endless(epoch, role, workers)
        chosen = islice(samples, done * self.batch_size, stop * self.batch_size)
        return self._batches(chosen, epoch)

    def _endless(self, epoch: int, role: int, workers: int) -> Iterator[Sample]:
        """One worker's encoded samples, shuffled, pass after pass over its shards."""
        shards = list(self.shards)
        random.Random(mix_seed(self.seed, epoch)).shuffle(shards)
        for repeat in count():
            seed = mix_seed(self.seed, epoch, self.rank, role, repeat)
            shuffle = webdataset.shuffle(self.buffer, rng=random.Random(seed))
            empty = True
            for sample in shuffle(self._read(shards, role, workers)):
                empty = False
                yield {**sample, "__pass__": repeat}
            if empty:
                raise ValueError("The shards of a worker hold no samples.")

    def _read(self, shards: list[str], role: int, workers: int) -> Iterator[Sample]:
        """The encoded samples of one worker's shards, in order."""
        mine = shards[self.rank + self.world_size * role :: self.world_size * workers]
        samples: Iterator[Sample] = webdataset.tarfile_samples(
            {"url": shard} for shard in mine
        )
        return samples

    def _batches(self, samples: Iterator[Sample], epoch: int) -> Iterator[Batch]:
        while group := list(islice(samples, self.batch_size)):
            decoded = [self._decode(sample, epoch) for sample in group]
            images, labels = zip(*decoded, strict=True)
            yield torch.stack(images), torch.tensor(labels)

    def _decode(self, sample: Sample, epoch: int) -> tuple[Tensor, int]:
        name = f"{Path(sample['__url__']).name}/{sample['__key__']}"
        suffix = next((key for key in sample if f".{key}" in SUFFIXES), "")
        if not suffix or "cls" not in sample:
            found = ", ".join(key for key in sample if not key.startswith("__"))
            raise ValueError(f"{name} has {found}; it needs an image and a cls.")
        try:
            image = read_image(io.BytesIO(sample[suffix]))
        except RuntimeError as error:
            raise RuntimeError(f"{name}.{suffix} cannot be read.") from error
        image = normalize(square(image, self.image_size))
        if self.augment is not None:
            # Of what the sample is, not of its place: whoever reads it.
            place = zlib.crc32(name.encode())
            seed = mix_seed(self.seed, epoch, place, sample.get("__pass__", 0))
            image = self.augment(image, torch.Generator().manual_seed(seed))
        label = int(sample["cls"])
        if self.num_classes is not None and not 0 <= label < self.num_classes:
            raise ValueError(f"{name} has label {label} of {self.num_classes} classes.")
        return image, label
