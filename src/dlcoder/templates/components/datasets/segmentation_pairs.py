"""Images with a label map each, in the three ways in which they are usually stored.

    folders      root/images/NAME.jpg                    root/masks/NAME.png
                 with a split: root/SPLIT/images, root/SPLIT/masks
    voc          root/JPEGImages/NAME.jpg                root/SegmentationClass/NAME.png
                 root/ImageSets/Segmentation/SPLIT.txt   lists the names of a split
    cityscapes   root/leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png
                 root/gtFine/SPLIT/CITY/NAME_gtFine_labelTrainIds.png

Shapes: image (3, S, S), float32, normalized; mask (S, S), int64, 255 for pixels that do
not count.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.read_image import SUFFIXES, read_image
from dlcoder.templates.components.datasets.read_label_map import read_label_map
from dlcoder.templates.components.datasets.square import square

Pair = tuple[Path, Path]
IGNORE = 255
VOC_CLASSES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable "
    "dog horse motorbike person pottedplant sheep sofa train tvmonitor"
)
CITYSCAPES_CLASSES = (
    "road sidewalk building wall fence pole traffic_light traffic_sign vegetation "
    "terrain sky person rider car truck bus train motorcycle bicycle"
)


class SegmentationPairs(Dataset[tuple[Tensor, Tensor]]):
    """The images of a split, with their masks.

    Args:
        root: The dataset's folder.
        image_size: Height and width of the result in pixels, S. The shorter side is
            scaled to it and the middle is cut out.
        layout: How the files are stored, as above.
        split: The part of the data; None for folders that are not split.
        classes: The names of the classes, by label. By default those of the layout, and
            of folders the lines of root/classes.txt; without it labels go unchecked.

    Raises:
        FileNotFoundError: There are no images, or one has no mask.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        image_size: int,
        layout: Literal["folders", "voc", "cityscapes"] = "folders",
        split: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.root = Path(root)
        self.image_size = image_size
        self.classes = list(classes or _classes(self.root, layout))
        self.pairs = _PAIRS[layout](self.root, split)
        if not self.pairs:
            raise FileNotFoundError(
                f"{self.root} holds no images of split {split} in the layout {layout}."
            )
        missing = [path for pair in self.pairs for path in pair if not path.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} files are missing, such as {missing[0]}."
            )

    def fingerprint(self) -> str:
        """A hash over the names and sizes of all files: changes when the data does."""
        digest = hashlib.sha256()
        for path in (path for pair in self.pairs for path in pair):
            name = path.relative_to(self.root).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        return f"sha256:{digest.hexdigest()}"

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image_path, mask_path = self.pairs[index]
        image, mask = read_image(image_path), read_label_map(mask_path)
        if image.shape[1:] != mask.shape:
            raise ValueError(
                f"{image_path} is {tuple(image.shape[1:])}, but its mask is "
                f"{tuple(mask.shape)}."
            )
        if self.classes:
            _check_labels(mask, len(self.classes), mask_path)
        size = self.image_size
        return normalize(square(image, size)), square(mask, size, labels=True)


def _classes(root: Path, layout: str) -> list[str]:
    if layout != "folders":
        return (VOC_CLASSES if layout == "voc" else CITYSCAPES_CLASSES).split()
    names = root / "classes.txt"
    lines = names.read_text(encoding="utf-8").splitlines() if names.is_file() else []
    return [line.strip() for line in lines if line.strip()]


def _check_labels(mask: Tensor, num_classes: int, path: Path) -> None:
    strange = mask[(mask >= num_classes) & (mask != IGNORE)]
    if len(strange):
        raise ValueError(
            f"{path} has the label {int(strange[0])}; there are {num_classes} classes, "
            f"from 0, and {IGNORE} for pixels that do not count."
        )


def _folders(root: Path, split: str | None) -> list[Pair]:
    base = root / split if split else root
    images = sorted(p for p in base.glob("images/*") if p.suffix.lower() in SUFFIXES)
    return [(path, base / "masks" / f"{path.stem}.png") for path in images]


def _voc(root: Path, split: str | None) -> list[Pair]:
    names = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not names.is_file():
        raise FileNotFoundError(f"{names} should list the images of the split.")
    return [
        (
            root / "JPEGImages" / f"{name}.jpg",
            root / "SegmentationClass" / f"{name}.png",
        )
        for name in names.read_text(encoding="utf-8").split()
    ]


def _cityscapes(root: Path, split: str | None) -> list[Pair]:
    images = root / "leftImg8bit" / str(split)
    masks = root / "gtFine" / str(split)
    return [
        (path, masks / path.parent.name / _cityscapes_mask(path.name))
        for path in sorted(images.glob("*/*_leftImg8bit.png"))
    ]


def _cityscapes_mask(image: str) -> str:
    # The ids to train with: 19 classes, and 255 for all that is not evaluated.
    return image.replace("_leftImg8bit.png", "_gtFine_labelTrainIds.png")


_PAIRS = {"folders": _folders, "voc": _voc, "cityscapes": _cityscapes}
