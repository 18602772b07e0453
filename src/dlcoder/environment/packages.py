"""What is installed for an interpreter, read from its files: nothing of it is run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Worth naming in a report; everything else is only checked.
LIBRARIES = (
    "torch",
    "torchvision",
    "torchaudio",
    "triton",
    "numpy",
    "lightning",
    "pytorch-lightning",
    "transformers",
    "accelerate",
    "deepspeed",
    "timm",
    "xformers",
    "flash-attn",
    "bitsandbytes",
    "apex",
    "mmcv",
    "monai",
    "opencv-python",
    "opencv-python-headless",
    "tensorflow",
    "jax",
    "nvidia-cudnn-cu11",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "nvidia-nccl-cu11",
    "nvidia-nccl-cu12",
    "nvidia-nccl-cu13",
)
# These carry the CUDA that they were built with in their own version.py, where their metadata may not.
_BUILT = ("torch", "torchvision", "torchaudio")
_VERSION = re.compile(r"^__version__\s*(?::\s*\w+\s*)?=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)


@dataclass(frozen=True)
class Installed:
    """One installed distribution.

    Attributes:
        name: Lower case, words joined by "-".
        version: With its build tag where one is known ("2.5.1+cu124").
        folder: The directory of packages that it lies in.
        requires: Its requirements, as written in its metadata.
    """

    name: str
    version: str
    folder: Path
    requires: tuple[str, ...] = ()

    @property
    def build(self) -> str:
        """What it was built for: "cpu", "cu124", "rocm6.2", or empty where nothing says so."""
        match = re.search(r"\+(cpu|cu\d+|rocm[\d.]+|xpu)", self.version)
        return match[1] if match else ""


def read(folders: Iterable[Path]) -> list[Installed]:
    """List the distributions in `folders`, in the order in which Python would find them."""
    found = []
    for folder in folders:
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        found += [entry for path in entries if (entry := _read_one(path, folder))]
    return found


def normalized(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read_one(path: Path, folder: Path) -> Installed | None:
    if path.suffix not in (".dist-info", ".egg-info"):
        return None
    candidates = (path / "METADATA", path / "PKG-INFO", path)
    text = next((text for candidate in candidates if (text := _head(candidate))), "")
    fields = [line.partition(": ") for line in text.splitlines()]
    name = next((value for key, _, value in fields if key == "Name"), "")
    version = next((value for key, _, value in fields if key == "Version"), "")
    if not name or not version:
        return None
    name = normalized(name)
    if name in _BUILT and "+" not in version:
        version = _own_version(folder / name / "version.py") or version
    return Installed(name, version, folder, tuple(value for key, _, value in fields if key == "Requires-Dist"))


def _head(path: Path) -> str:
    """The header of a metadata file, without the description that may follow it."""
    try:
        return path.read_text("utf-8", "replace").partition("\n\n")[0]
    except OSError:
        return ""


def _own_version(path: Path) -> str:
    match = _VERSION.search(_head(path) or "")
    if match is None:
        try:
            match = _VERSION.search(path.read_text("utf-8", "replace"))
        except OSError:
            return ""
    return match[1] if match else ""
