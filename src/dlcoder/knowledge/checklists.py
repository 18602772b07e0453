"""What is behind a symptom, how often, and what words of the context change about it.

`checklists.yaml` is what people edit; `checklists.json`, written from it by
`python -m dlcoder.knowledge.checklists`, is what is read, and a test keeps the two equal.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_COMPILED = _HERE / "checklists.json"


@dataclass(frozen=True, slots=True)
class Topic:
    """A symptom.

    Attributes:
        name: The fixed name that clients use.
        says: What a person sees, in a few words.
        names: Other words for it, in English and Chinese.
        shares: Cause -> probability before anything else is known; they add up to one.
    """

    name: str
    says: str
    names: tuple[str, ...]
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class Cue:
    """Words of the context and what they say.

    Attributes:
        words: The expression to look for.
        adds: Cause -> nats of log-odds.
    """

    words: re.Pattern[str]
    adds: dict[str, float]


@cache
def load_topics() -> dict[str, Topic]:
    """Return the topics by name, in the order of the file. Shared: do not change it."""
    topics = {}
    for name, fields in _read()["topics"].items():
        whole = sum(fields["shares"].values())
        shares = {cause: share / whole for cause, share in fields["shares"].items()}
        topics[name] = Topic(name, fields["says"], tuple(fields["names"]), shares)
    return topics


@cache
def load_cues() -> tuple[Cue, ...]:
    """Return the cues of the context."""
    return tuple(Cue(re.compile(cue["words"], re.IGNORECASE), cue["adds"]) for cue in _read()["cues"])


def _read() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(_COMPILED.read_bytes())
    return read


def compile_checklists() -> str:
    """Return the text of `checklists.json` as the YAML file says it now."""
    import yaml

    text = (_HERE / "checklists.yaml").read_text(encoding="utf-8")
    return json.dumps(yaml.safe_load(text), ensure_ascii=False, indent=0) + "\n"


if __name__ == "__main__":
    _COMPILED.write_text(compile_checklists(), encoding="utf-8")
