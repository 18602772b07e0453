"""Tests of clips of videos."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlcoder.templates.components.datasets.video_clips import VideoClips, clip_starts

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of 12, 3 and 1 frames, whose red is the frame's number times ten."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in (("jump/long", 12), ("run/short", 3), ("run/still", 1)):
        (folder / name).mkdir(parents=True)
        for number in range(frames):
            image = Image.new("RGB", (6, 4), (10 * number, 0, 0))
            image.save(folder / name / f"frame_{number}.png")
        (folder / name / "notes.txt").write_text("no frame")
    (folder / "run" / "empty").mkdir()
    return folder


def numbers(clip: Tensor) -> list[int]:
    """Which frames a clip is of."""
    red = (clip[:, 0].mean(dim=(1, 2)) * 0.229 + 0.485) * 255 / 10
    return [round(value) for value in red.tolist()]


def clips(root: Path, **options: Any) -> list[list[int]]:
    data = VideoClips(root, image_size=4, **options)
    return [numbers(data[index][0]) for index in range(len(data))]


def test_clips_are_in_the_order_of_the_numbers_and_reach_the_end(root: Path) -> None:
    assert clips(root, length=5) == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [7, 8, 9, 10, 11],
        [0, 1, 2, 2, 2],
        [0, 0, 0, 0, 0],
    ]


def test_a_stride_skips_frames(root: Path) -> None:
    assert clips(root, length=3, stride=2)[:-2] == [[0, 2, 4], [5, 7, 9], [7, 9, 11]]
    # Held where the stride leads beyond the end.
    assert clips(root, length=3, stride=2)[-2:] == [[0, 2, 2], [0, 0, 0]]


def test_a_step_overlaps_or_leaves_gaps(root: Path) -> None:
    overlapping = clips(root, length=6, step=3)
    assert [clip[0] for clip in overlapping] == [0, 3, 6, 0, 0]
    apart = clips(root, length=2, step=7)
    assert [clip[0] for clip in apart] == [0, 7, 0, 0]


@pytest.mark.parametrize("span", [1, 2, 5])
@pytest.mark.parametrize("frames", range(1, 14))
def test_every_frame_is_in_a_clip(frames: int, span: int) -> None:
    for step in range(1, span + 1):
        starts = clip_starts(frames, span, step)
        assert len(set(starts)) == len(starts)
        seen = {place for start in starts for place in range(start, start + span)}
        assert set(range(frames)) <= seen
        assert max(seen) < max(frames, span)


def test_labels_are_those_of_the_classes(root: Path) -> None:
    data = VideoClips(root, length=4, image_size=4)
    assert data.classes == ["jump", "run"]
    assert [data[index][1] for index in range(len(data))] == [0, 0, 0, 1, 1]
    assert [video for video, _ in data.clips] == [0, 0, 0, 1, 2]
    clip, _ = data[0]
    assert (clip.shape, clip.dtype) == ((4, 3, 4, 4), torch.float32)
    given = VideoClips(root, length=4, image_size=4, classes=["fall", "jump", "run"])
    assert given[0][1] == 1


def test_what_is_no_dataset_is_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no frames in class/video"):
        VideoClips(tmp_path, length=2, image_size=4)
    with pytest.raises(ValueError, match=r"none of the 1 classes: run"):
        VideoClips(root, length=2, image_size=4, classes=["jump"])
    with pytest.raises(ValueError, match="at least 1"):
        VideoClips(root, length=2, image_size=4, step=0)


def test_the_fingerprint_tells_clips_apart(root: Path) -> None:
    marks = {
        VideoClips(root, length=4, image_size=4, stride=stride).fingerprint()
        for stride in (1, 2, 1)
    }
    assert len(marks) == 2
