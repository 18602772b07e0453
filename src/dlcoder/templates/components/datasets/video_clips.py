"""Clips of videos that are stored as folders of frames, one folder a class.

    root/run/video_1/1.jpg, 2.jpg, ..., 10.jpg
    root/jump/video_7/...

A clip is `length` frames, each `stride` frames after the one before. Clips begin every
`step` frames, and one more ends with the video where they do not reach its end. In a
video shorter than a clip the last frame is held.

Shapes: clip (T, 3, S, S), float32, normalized; label, int. Augmentation of an image
applies to a clip as it is, the same for all frames.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.class_folders import class_folders
from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.read_image import SUFFIXES, read_image
from dlcoder.templates.components.datasets.square import square


class VideoClips(Dataset[tuple[Tensor, int]]):
    """The clips of all videos below `root`.

    Args:
        root: A folder with one sub-folder for each class, and in it one for each video.
        length: Frames in a clip, T.
        image_size: Height and width of the result in pixels, S. The shorter side is
            scaled to it and the middle is cut out.
        stride: Frames of the video from one frame of a clip to the next.
        step: Frames of the video from one clip to the next; by default as many as a
            clip spans, so that clips do not overlap. More leave gaps, and then none is
            added at the end.
        classes: The names of the classes, by label; the sub-folders' names in order
            by default. Give the training set's to every other split: a split may lack
            a class, and labels must not shift.

    Raises:
        FileNotFoundError: `root` is no folder or holds no videos.
        ValueError: A sub-folder is none of `classes`, or a length is not positive.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        length: int,
        image_size: int,
        stride: int = 1,
        step: int | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.root = Path(root)
        self.length = length
        self.image_size = image_size
        self.stride = stride
        span = (length - 1) * stride + 1
        self.step = span if step is None else step
        if min(length, stride, self.step) < 1:
            raise ValueError("length, stride and step are at least 1.")
        self.classes = class_folders(self.root, classes)
        self.videos = [
            (frames, label)
            for label, name in enumerate(self.classes)
            for folder in sorted((self.root / name).glob("*"))
            if (frames := _frames(folder))
        ]
        if not self.videos:
            raise FileNotFoundError(f"{self.root} holds no frames in class/video.")
        self.clips = [
            (number, start)
            for number, (frames, _) in enumerate(self.videos)
            for start in clip_starts(len(frames), span, self.step)
        ]
        """Video and first frame of each clip: votes of a video's clips go together."""

    def fingerprint(self) -> str:
        """A hash over the names and sizes of all frames, and over how they are cut."""
        digest = hashlib.sha256(f"{self.length}\0{self.stride}\0{self.step}".encode())
        for frames, _ in self.videos:
            for path in frames:
                name = path.relative_to(self.root).as_posix()
                digest.update(f"\0{name}\0{path.stat().st_size}".encode())
        return f"sha256:{digest.hexdigest()}"

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        number, start = self.clips[index]
        frames, label = self.videos[number]
        places = range(start, start + self.length * self.stride, self.stride)
        chosen = [frames[min(place, len(frames) - 1)] for place in places]
        # Held frames are decoded once.
        images = {
            path: normalize(square(read_image(path), self.image_size))
            for path in dict.fromkeys(chosen)
        }
        return torch.stack([images[path] for path in chosen]), label


def clip_starts(frames: int, span: int, step: int) -> list[int]:
    """Return the first frames of the clips of a video.

    Args:
        frames: The video's length.
        span: Frames from a clip's first to its last.
        step: Frames from one clip to the next.
    """
    last = max(0, frames - span)
    starts = list(range(0, last + 1, step))
    return starts if starts[-1] == last or step > span else [*starts, last]


def _frames(folder: Path) -> list[Path]:
    """The frames of a video in order: frame 10 after frame 9, zeros before or not."""
    paths = [path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES]
    return sorted(sorted(paths), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
