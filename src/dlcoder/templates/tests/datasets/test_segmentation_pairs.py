"""Tests of images with label maps on disk."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from dlcoder.templates.components.datasets.segmentation_pairs import SegmentationPairs

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


def save(
    path: Path, mode: str, left: int | tuple[int, ...], right: int | tuple[int, ...]
) -> None:
    """An image of two halves."""
    picture = Image.new(mode, (8, 6), left)
    picture.paste(right, (4, 0, 8, 6))
    if mode == "P":
        picture.putpalette([level for level in range(256) for _ in range(3)])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def folders(root: Path) -> None:
    for split in ("train", "val"):
        save(root / split / "images/a.jpg", "RGB", (0, 0, 0), (250, 250, 250))
        save(root / split / "masks/a.png", "L", 1, 255)


def voc(root: Path) -> None:
    save(root / "JPEGImages/2007_1.jpg", "RGB", (0, 0, 0), (250, 250, 250))
    save(root / "JPEGImages/2007_2.jpg", "RGB", (0, 0, 0), (250, 250, 250))
    save(root / "SegmentationClass/2007_1.png", "P", 1, 255)
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/val.txt").write_text("2007_1\n")


def cityscapes(root: Path) -> None:
    stem = "val/bonn/bonn_000001_000019"
    save(
        root / f"leftImg8bit/{stem}_leftImg8bit.png", "RGB", (0, 0, 0), (250, 250, 250)
    )
    save(root / f"gtFine/{stem}_gtFine_labelTrainIds.png", "L", 1, 255)
    save(root / f"gtFine/{stem}_gtFine_labelIds.png", "L", 7, 0)


WRITE = {"folders": folders, "voc": voc, "cityscapes": cityscapes}


@pytest.mark.parametrize("layout", ["folders", "voc", "cityscapes"])
def test_pairs_are_found_and_stay_together(
    tmp_path: Path, layout: Literal["folders", "voc", "cityscapes"]
) -> None:
    WRITE[layout](tmp_path)
    data = SegmentationPairs(tmp_path, image_size=6, layout=layout, split="val")
    assert len(data) == 1
    image, mask = data[0]
    assert (image.shape, image.dtype) == ((3, 6, 6), torch.float32)
    assert (mask.shape, mask.dtype) == ((6, 6), torch.int64)
    assert mask[0].tolist() == [1, 1, 1, 255, 255, 255]
    assert bool((image[0, :, 4:] > 1).all() and (image[0, :, :2] < -1).all())


def test_an_image_without_a_mask_is_an_error(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "val/masks/a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 files are missing.*a\.png"):
        SegmentationPairs(tmp_path, image_size=6, split="val")


def test_no_images_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no images"):
        SegmentationPairs(tmp_path, image_size=6)
    with pytest.raises(FileNotFoundError, match=r"train\.txt"):
        SegmentationPairs(tmp_path, image_size=6, layout="voc", split="train")


def test_a_mask_of_another_size_is_an_error(tmp_path: Path) -> None:
    folders(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "val/masks/a.png")
    with pytest.raises(ValueError, match="its mask is"):
        SegmentationPairs(tmp_path, image_size=6, split="val")[0]


def test_the_fingerprint_changes_with_the_masks(tmp_path: Path) -> None:
    folders(tmp_path)
    before = SegmentationPairs(tmp_path, image_size=6, split="val").fingerprint()
    Image.effect_noise((8, 6), 50).save(tmp_path / "val/masks/a.png")
    after = SegmentationPairs(tmp_path, image_size=6, split="val").fingerprint()
    assert after != before


def test_classes_are_those_of_the_layout_of_a_file_or_as_given(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "classes.txt").write_text("ground\n tall grass\n\n")
    data = SegmentationPairs(tmp_path, image_size=6, split="val")
    assert data.classes == ["ground", "tall grass"]
    data = SegmentationPairs(tmp_path, image_size=6, split="val", classes=["a", "b"])
    assert data.classes == ["a", "b"]
    voc(tmp_path)
    data = SegmentationPairs(tmp_path, image_size=6, layout="voc", split="val")
    assert (len(data.classes), data.classes[15]) == (21, "person")


def test_a_label_beyond_the_classes_is_an_error_that_names_it(tmp_path: Path) -> None:
    folders(tmp_path)
    data = SegmentationPairs(tmp_path, image_size=6, split="val", classes=["one"])
    with pytest.raises(ValueError, match=r"a\.png has the label 1; there are 1"):
        data[0]
