"""Data whose every sample can be recognised: what a dataset does to it shows."""

from __future__ import annotations

import base64
import re
import string
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

COUNT = 23
CLASSES = 5
SIZE = 16
MASK_VALUES = (0, 4, 14, 18)


def labels() -> list[int]:
    """The label of each sample."""
    return [index % CLASSES for index in range(COUNT)]


def masks() -> Tensor:
    """Integer masks `(N, H, W)` of a few coarse, asymmetric regions."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.randint(0, len(MASK_VALUES), (COUNT, 4, 4), generator=generator)
    coarse[:, 0, 0], coarse[:, 0, 1] = 1, 2
    fine = coarse.repeat_interleave(SIZE // 4, dim=1).repeat_interleave(SIZE // 4, dim=2)
    return torch.tensor(MASK_VALUES)[fine]


def masked_images() -> Tensor:
    """Images `(N, 3, H, W)` in [0, 1] whose color tells the mask's label."""
    return (masks().float() / 20 + 0.05).unsqueeze(1).repeat(1, 3, 1, 1)


def plain_images() -> Tensor:
    """Images `(N, 3, H, W)` in [0, 1]: each its own brightness, with a gradient across."""
    level = (torch.arange(COUNT).float() / COUNT * 0.8 + 0.05).view(-1, 1, 1, 1)
    ramp = torch.linspace(0, 0.02, SIZE).view(1, 1, 1, SIZE)
    return (level + ramp).expand(COUNT, 3, SIZE, SIZE).clone()


def boxed_images() -> Tensor:
    """Dark images `(N, 3, H, W)`, each with a bright rectangle from (c, c + 1) to (c + 5, c + 8), c = 2 + i mod 4."""
    images = torch.full((COUNT, 3, SIZE, SIZE), 0.1)
    for index in range(COUNT):
        corner = 2 + index % 4
        images[index, :, corner + 1 : corner + 8, corner : corner + 5] = 0.9
    return images


def series() -> Tensor:
    """A series `(N, 3)` in which every step has a value of its own."""
    return torch.arange(60).float().unsqueeze(1) / 60 + torch.tensor([0.0, 1.0, 2.0])


def texts() -> list[str]:
    """Texts of different lengths, each of words of its own."""
    return [" ".join(f"w{index}" for _ in range(3 + index % 5)) for index in range(COUNT)]


def corpus() -> str:
    """A text in which no character comes twice."""
    return string.ascii_letters + string.digits


def waves() -> list[Tensor]:
    """Mono recordings `(1, T)` of different lengths, each at a level of its own."""
    counts = [6000 + 500 * (index % 9) for index in range(COUNT)]
    return [torch.linspace(0, 0.02, n).unsqueeze(0) + 0.03 * (i + 1) for i, n in enumerate(counts)]


def sequences() -> list[list[int]]:
    """Token ids of different lengths, each sequence of ids of its own."""
    return [[4 + (index + place) % 60 for place in range(3 + index % 5)] for index in range(COUNT)]


class Encoding(list[int]):
    """What a tokenizer returns: a list of ids that also answers as the dictionary or record of one."""

    def __getitem__(self, key: Any) -> Any:
        """An id by its place, or what a key of the usual dictionary names."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        return [1] * len(self) if key == "attention_mask" else list(self)

    @property
    def ids(self) -> list[int]:
        """The ids."""
        return list(self)

    input_ids = ids

    @property
    def attention_mask(self) -> list[int]:
        """A 1 for each id."""
        return [1] * len(self)


class Tokenizer:
    """A tokenizer of words: ids from 1, and 0 for padding; `encode` and calls with options as usual ones have them."""

    def __init__(self, fixed: int = 0) -> None:
        self.fixed = fixed

    pad_token_id, eos_token_id, bos_token_id, unk_token_id, vocab_size = 0, 1, 2, 3, 64

    def __call__(self, text: str, **options: Any) -> Any:
        """The ids of a text; tensors in a dictionary where `return_tensors` asks for them."""
        ids = [4 + sum(map(ord, word)) % 60 for word in str(text).split()]
        longest = options.get("max_length")
        if self.fixed:
            ids = (ids + [0] * self.fixed)[: self.fixed]
        if options.get("truncation") and longest:
            ids = ids[:longest]
        count = len(ids)
        if options.get("padding") == "max_length" and longest:
            ids += [0] * (longest - count)
        if options.get("return_tensors") is None:
            return Encoding(ids)
        mask = [1] * count + [0] * (len(ids) - count)
        return {"input_ids": torch.tensor([ids]), "attention_mask": torch.tensor([mask])}

    encode = __call__


def bytes_of(images: Tensor) -> Tensor:
    """Images as uint8 `(N, H, W, 3)`."""
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def png(pixels: Tensor) -> bytes:
    """A PNG of uint8 pixels `(H, W)` or `(H, W, 3)`."""
    height, width = pixels.shape[:2]
    color = 2 if pixels.dim() == 3 else 0
    rows = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) & 0xFFFFFFFF)


LAYOUTS = ("classes", "pairs", "split-classes", "split-pairs")


def folder(layout: str) -> str:
    """A directory of images: one folder per class, or images and masks side by side, with or without splits."""
    root = Path(tempfile.mkdtemp(prefix="planted-"))
    splits = ("train", "val", "test") if layout.startswith("split") else ("",)
    for number, split in enumerate(splits):
        base = root / split if split else root
        chosen = [i for i in range(COUNT) if len(splits) == 1 or i % 3 == number]
        if layout.endswith("classes"):
            _class_folders(base, chosen)
        else:
            _pair_folders(base, chosen)
    return str(root)


def _class_folders(base: Path, chosen: list[int]) -> None:
    pixels = bytes_of(plain_images())
    for index in chosen:
        place = base / f"class_{labels()[index]}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index:03d}.png").write_bytes(png(pixels[index]))


def _pair_folders(base: Path, chosen: list[int]) -> None:
    pixels, truth = bytes_of(masked_images()), masks().to(torch.uint8)
    for name, source in (("images", pixels), ("masks", truth)):
        place = base / name
        place.mkdir(parents=True, exist_ok=True)
        for index in chosen:
            (place / f"{index:03d}.png").write_bytes(png(source[index]))


def write_files(files: dict[str, Any]) -> None:
    """Files that the contract asks for, in the current directory."""
    for name, content in files.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"contract.files may name files in the work directory only, not {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            path.write_bytes(base64.b64decode(content["base64"]))
        else:
            path.write_text(str(content), encoding="utf-8")


IMAGES = re.compile(r"(?:^|_)(images?|imgs?|data|x|xs|inputs?|features?|samples|arrays?)$", re.I)
MASKS = re.compile(r"(?:^|_)(masks?|segmentations?|segs?|annotations?)$", re.I)
LABELS = re.compile(r"^(?!num_|n_)(?:\w+_)?(labels?|targets?|ys?|classes)$", re.I)
FOLDER = re.compile(
    r"(?:^|_)(root|path|folder|data_?(dir|root|path)|dir|directory|root_dir|image_dir|img_dir|data_folder)$", re.I
)
SERIES = re.compile(r"(?:^|_)(series|values|signals?|time_?series|array|observations)$", re.I)
TEXTS = re.compile(r"(?:^|_)(texts?|sentences?|captions?|prompts?|documents?|reviews?|questions?|lines)$", re.I)
TOKENIZER = re.compile(r"(?:^|_)(tokeni[sz]er?|encode(r|_fn)?)$", re.I)
RECORDS = re.compile(r"(?:^|_)(records?|examples?|items?|rows?|pairs?)$", re.I)
TOKENS = re.compile(r"^(tokens?|token_ids|ids|corpus|sequence|stream)$", re.I)
WAVES = re.compile(r"(?:^|_)(waveforms?|wavs?|audios?|clips|recordings|utterances)$", re.I)
LENGTHS = re.compile(r"(?:^|_)(lengths|lens|seq_lengths|sizes|token_counts|num_tokens)$", re.I)
SEQUENCES = re.compile(r"(?:^|_)(sequences|seqs|tokenized|encoded|token_lists|encodings)$", re.I)
LENGTH = re.compile(r"^(length|size|n|num_samples|n_samples|count|total|num_examples|num_items)$", re.I)
