"""Tests of detection data in COCO's format."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcoder.templates.components.datasets.coco_detection import CocoDetection

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


def annotation(image: int, category: int, bbox: list[float], crowd: int = 0) -> Any:
    return {
        "id": 1,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "iscrowd": crowd,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A wide image with a white box, and one without any."""
    picture = Image.new("RGB", (40, 20), (0, 0, 0))
    picture.paste((255, 255, 255), (10, 4, 30, 16))
    picture.save(tmp_path / "a.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "b.png")
    tree = {
        "images": [{"id": 9, "file_name": "b.png"}, {"id": 3, "file_name": "a.png"}],
        "categories": [{"id": 90, "name": "dog"}, {"id": 17, "name": "cat"}],
        "annotations": [
            annotation(3, 90, [10, 4, 20, 12]),
            annotation(3, 17, [0, 0, 40, 20], crowd=1),
            annotation(3, 17, [5, 5, 0, 8]),
        ],
    }
    (tmp_path / "train.json").write_text(json.dumps(tree))
    return tmp_path


def load(folder: Path, **options: Any) -> CocoDetection:
    return CocoDetection(folder, folder / "train.json", **options)


def test_labels_count_from_zero_and_lead_back_to_the_ids(folder: Path) -> None:
    data = load(folder, image_size=20)
    assert (data.classes, data.category_ids) == (["cat", "dog"], [17, 90])
    assert data.image_ids == [3, 9]
    assert data[0][2].tolist() == [1]


def test_the_box_still_holds_its_object(folder: Path) -> None:
    image, boxes, _ = load(folder, image_size=20)[0]
    assert image.shape == (3, 20, 20)
    assert boxes.tolist() == [[5, 2, 15, 8]]
    assert bool((image[:, 3:7, 6:14] > 2).all())
    assert bool((image[:, 10:] == 0).all())


def test_an_image_may_have_no_box(folder: Path) -> None:
    _, boxes, labels = load(folder, image_size=16)[1]
    assert (boxes.shape, boxes.dtype) == ((0, 4), torch.float32)
    assert (labels.shape, labels.dtype) == ((0,), torch.int64)
    assert load(folder, image_size=16, skip_empty=True).image_ids == [3]


def test_boxes_end_at_the_image(folder: Path) -> None:
    tree = json.loads((folder / "train.json").read_text())
    tree["annotations"] = [annotation(3, 17, [-4, -4, 100, 100])]
    (folder / "train.json").write_text(json.dumps(tree))
    assert load(folder, image_size=20)[0][1].tolist() == [[0, 0, 20, 10]]


def test_an_unknown_category_is_an_error(folder: Path) -> None:
    tree = json.loads((folder / "train.json").read_text())
    tree["annotations"].append(annotation(3, 1, [0, 0, 5, 5]))
    (folder / "train.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="category 1"):
        load(folder, image_size=16)


def test_items_can_be_changed_without_changing_the_next_epoch(folder: Path) -> None:
    data = load(folder, image_size=40)
    _, boxes, labels = data[0]
    boxes.zero_()
    labels.zero_()
    assert data[0][1].any()
    assert data[0][2].any()


def test_the_fingerprint_changes_with_the_annotations(folder: Path) -> None:
    before = load(folder, image_size=16).fingerprint()
    (folder / "train.json").write_text((folder / "train.json").read_text() + " ")
    assert load(folder, image_size=16).fingerprint() != before
