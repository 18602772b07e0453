"""The support matrix of `support.yaml`, read once and typed."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Message:
    """A text that some tool prints, and what it means; empty fields are left to the place that asks."""

    match: str
    consequence: str
    fix: str
    cause: str
    id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Clash:
    """Versions of a package that do not work with versions of others, as requirement specifiers."""

    package: str
    others: tuple[str, ...]
    consequence: str
    fix: str
    cause: str


@dataclass(frozen=True)
class Support:
    """The whole matrix."""

    minimum_driver: dict[str, str]
    clashes: tuple[Clash, ...]
    same_files: tuple[tuple[str, ...], ...]
    nvidia_smi_errors: tuple[Message, ...]
    cuda_errors: tuple[Message, ...]
    import_errors: tuple[Message, ...]


@lru_cache(maxsize=1)
def support() -> Support:
    """Load the matrix."""
    import yaml

    data = yaml.safe_load(Path(__file__).with_name("support.yaml").read_text("utf-8"))
    clashes = (Clash(others=tuple(entry.pop("with")), **entry) for entry in data["clashes"])
    messages = {key: tuple(Message(**entry) for entry in data[key]) for key in data if key.endswith("_errors")}
    return Support(
        minimum_driver=data["minimum_driver"],
        clashes=tuple(clashes),
        same_files=tuple(map(tuple, data["same_files"])),
        **messages,
    )


def find(messages: tuple[Message, ...], text: str) -> Message | None:
    """The first message whose `match` is in `text`, whatever its case."""
    text = text.lower()
    return next((message for message in messages if message.match in text), None)


def minimum_driver(cuda: str) -> str:
    """The oldest Linux driver for programs built with `cuda` ("12.4"); empty where the matrix does not know."""
    table = support().minimum_driver
    return table.get(cuda) or table.get(cuda.partition(".")[0], "")


def older(version: str, than: str) -> bool:
    """Whether a dotted version comes before another."""

    def key(text: str) -> list[int]:
        return [int(part) for part in text.split(".") if part.isdigit()]

    return bool(key(version)) and bool(key(than)) and key(version) < key(than)
