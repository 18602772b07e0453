"""Images with boxes, from an annotation file in the format of COCO.

    {"images": [{"id", "file_name"}], "categories": [{"id", "name"}],
     "annotations": [{"image_id", "category_id", "bbox": [x, y, w, h], "iscrowd"}]}

Categories have any ids (COCO's own have gaps); labels count from 0, in order of the
ids, and `category_ids` leads back. Boxes around a crowd are left out, and so are those
of less than a pixel.

Shapes: image (3, S, S), float32, normalized; boxes (N, 4), float32, x1, y1, x2, y2 in
pixels of the result; labels (N,), int64. An image may have no box.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.pad_boxes import pad_boxes
from dlcoder.templates.components.datasets.read_image import read_image
from dlcoder.templates.components.datasets.resize import resize


class CocoDetection(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """The images of an annotation file, in the order of their ids.

    Args:
        root: The folder of the images.
        annotations: The annotation file.
        image_size: Height and width of the result in pixels, S. The longer side is
            scaled to it, and the rest, right and below, is the mean color.
        skip_empty: Whether images without a box are left out. For training only:
            evaluation must see where there is nothing.

    Raises:
        ValueError: The annotations name an image or a category that is not there.
    """

    collate_fn = staticmethod(pad_boxes)
    """What a loader needs, since images differ in their number of boxes."""

    def __init__(
        self,
        root: str | Path,
        annotations: str | Path,
        *,
        image_size: int,
        skip_empty: bool = False,
    ) -> None:
        self.root = Path(root)
        self.annotations = Path(annotations)
        self.image_size = image_size
        tree = json.loads(self.annotations.read_text(encoding="utf-8"))
        categories = sorted(tree["categories"], key=lambda c: int(c["id"]))
        self.classes = [str(category["name"]) for category in categories]
        self.category_ids = [int(category["id"]) for category in categories]
        targets = _targets(tree, self.category_ids, self.annotations)
        images = sorted(tree["images"], key=lambda image: int(image["id"]))
        if skip_empty:
            images = [image for image in images if len(targets[image["id"]][1])]
        self.image_ids = [int(image["id"]) for image in images]
        self.paths = [self.root / image["file_name"] for image in images]
        self.targets = [targets[number] for number in self.image_ids]

    def fingerprint(self) -> str:
        """A hash of the annotations: changes when they do."""
        return f"sha256:{hashlib.sha256(self.annotations.read_bytes()).hexdigest()}"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        image = read_image(self.paths[index])
        boxes, labels = self.targets[index]
        height, width = image.shape[-2:]
        size = self.image_size
        scale = size / max(height, width)
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        scaled = normalize(resize(image, rows, columns))
        # The scales of the two sides differ by rounding.
        factor = torch.tensor([columns / width, rows / height] * 2)
        inside = torch.tensor([columns, rows] * 2)
        boxes = torch.minimum(boxes * factor, inside).clamp(min=0)
        return pad(scaled, (0, size - columns, 0, size - rows)), boxes, labels.clone()


def _targets(
    tree: dict[str, Any], category_ids: list[int], path: Path
) -> dict[int, tuple[Tensor, Tensor]]:
    """Boxes (N, 4) in pixels of the file, and labels (N,), by the image's id."""
    label_of = {number: label for label, number in enumerate(category_ids)}
    boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in tree["images"]}
    labels: dict[int, list[int]] = {number: [] for number in boxes}
    for annotation in tree["annotations"]:
        image, category = annotation["image_id"], annotation["category_id"]
        if image not in boxes or category not in label_of:
            raise ValueError(
                f"{path}: annotation {annotation.get('id')} is of image {image} and "
                f"category {category}, and the file lacks one of them."
            )
        x, y, w, h = annotation["bbox"]
        if not annotation.get("iscrowd", 0) and w >= 1 and h >= 1:
            boxes[image].append([x, y, x + w, y + h])
            labels[image].append(label_of[category])
    return {
        number: (
            torch.tensor(boxes[number], dtype=torch.float32).reshape(-1, 4),
            torch.tensor(labels[number], dtype=torch.int64),
        )
        for number in boxes
    }
