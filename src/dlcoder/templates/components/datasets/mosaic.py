"""Four images in one, with their boxes, for detectors.

    +-------+----+      The point where they meet is random, and so is the scale of
    |   a   | b  |      each. An image touches that point with its inner corner; what
    +-------+----+      reaches out of the frame is cut off, and what is not filled is
    |   c   | d  |      the mean color.
    +-------+----+

Objects get smaller and meet strange neighbors, and a batch holds more of them. No real
image looks so: end the training without (`until`).

Shapes: image (3, H, W), float, normalized; boxes (N, 4), x1, y1, x2, y2 in pixels;
labels (N,).

Paper: YOLOv4, https://arxiv.org/abs/2004.10934
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.augment_boxes import clip_boxes
from dlcoder.templates.components.datasets.pad_boxes import pad_boxes
from dlcoder.templates.components.datasets.resize import resize
from dlcoder.templates.components.utils.seeding import mix_seed

Draw = tuple[int, int]
"""(epoch, index), as `ResumableBatchSampler` yields them with `with_epoch`."""

Boxed = tuple[Tensor, Tensor, Tensor]


class Mosaic(Dataset[Boxed]):
    """A dataset of mosaics: the sample that is asked for, and three at random.

    What is random depends on (seed, epoch, index) alone.

    Args:
        dataset: Gives (image (3, H, W), boxes (N, 4), labels (N,)) for an index.
        seed: What mosaics depend on, beside epoch and index.
        part: The part of the samples that become mosaics.
        until: The epoch from which on none do; None for all epochs.
        low: The least scale of an image.
        high: The greatest.
        visible: The part of a box that must be left for it to stay an object.
        augment: Called with image, boxes, labels and a generator afterwards, such as
            `BoxAugment`.
    """

    collate_fn = staticmethod(pad_boxes)
    """What a loader needs, since images differ in their number of boxes."""

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        seed: int,
        part: float = 0.5,
        until: int | None = None,
        low: float = 0.5,
        high: float = 1.0,
        visible: float = 0.3,
        augment: Callable[..., Boxed] | None = None,
    ) -> None:
        self.dataset = dataset
        self.seed = seed
        self.part = part
        self.until = until
        self.low = low
        self.high = high
        self.visible = visible
        self.augment = augment

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> Boxed:
        epoch, index = draw
        generator = torch.Generator()
        generator.manual_seed(mix_seed(self.seed, epoch, index))
        chosen = float(torch.rand((), generator=generator)) < self.part
        if chosen and (self.until is None or epoch < self.until):
            others = torch.randint(len(self), (3,), generator=generator).tolist()
            image, boxes, labels = self._join([index, *others], generator)
        else:
            image, boxes, labels = self.dataset[index]
        if self.augment is not None:
            return self.augment(image, boxes, labels, generator)
        return image, boxes, labels

    def _join(self, indices: list[int], generator: torch.Generator) -> Boxed:
        draws = torch.rand(6, generator=generator).tolist()
        samples = [self.dataset[index] for index in indices]
        # In the middle half of the frame, so that each image shows something.
        height, width = samples[0][0].shape[-2:]
        row = round(height * (0.25 + 0.5 * draws[4]))
        column = round(width * (0.25 + 0.5 * draws[5]))
        canvas = torch.zeros_like(samples[0][0])
        kept = []
        # Their order says which corner an image fills.
        order = torch.randperm(4, generator=generator).tolist()
        for corner, (image, boxes, labels), draw in zip(
            order, samples, draws[:4], strict=True
        ):
            scale = self.low + (self.high - self.low) * draw
            image, boxes = _scale(image, boxes, scale)
            above, before = corner < 2, corner % 2 == 0
            top = row - image.shape[1] if above else row
            left = column - image.shape[2] if before else column
            _paste(canvas, image, top, left)
            boxes = boxes + boxes.new_tensor([left, top] * 2)
            kept.append(clip_boxes(boxes, labels, height, width, visible=self.visible))
        all_boxes, all_labels = zip(*kept, strict=True)
        return canvas, torch.cat(all_boxes), torch.cat(all_labels)


def _scale(image: Tensor, boxes: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    height, width = image.shape[-2:]
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    # The scales of the two sides differ by rounding.
    factors = boxes.new_tensor([columns / width, rows / height] * 2)
    return resize(image, rows, columns), boxes * factors


def _paste(canvas: Tensor, image: Tensor, top: int, left: int) -> None:
    """Write what of an image lies within the canvas."""
    bottom, right = top + image.shape[1], left + image.shape[2]
    first_row, first_column = max(0, top), max(0, left)
    last_row, last_column = min(bottom, canvas.shape[1]), min(right, canvas.shape[2])
    canvas[:, first_row:last_row, first_column:last_column] = image[
        :, first_row - top : last_row - top, first_column - left : last_column - left
    ]
