"""What messages mean: the typed loader of `signatures/*.yaml`.

Each file holds two lists. `patterns` are regular expressions (in the subset that RE2 and Hyperscan share, so none can
backtrack); a match is a *fact* with the pattern's id, and may carry weights: how much it speaks for or against a cause,
in nats of log-odds. `rules` combine facts: `all` must hold, at least one of `any`, and none of `none`; their weights are
added on top. That is the whole model: what speaks for a cause can be read off the files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

Scope = Literal["log", "context", "code", "environment"]
Role = Literal["root", "effect", "clue", "benign"]
SCOPES: tuple[Scope, ...] = ("log", "context", "code", "environment")


@dataclass(frozen=True)
class Pattern:
    """One message and what it says.

    Attributes:
        id: The fact that a match establishes; several patterns may share it.
        regex: The expression, RE2 syntax without look-around.
        ignore_case: Whether letters match in either case.
        weights: Cause -> nats of log-odds that the match adds.
        role: `root` may be the first failure; `effect` is what other failures cause; `clue` is circumstance;
            `benign` is known to be harmless.
        scopes: Where it is looked for.
        note: What to say about a benign line.
    """

    id: str
    regex: str
    ignore_case: bool
    weights: Mapping[str, float]
    role: Role
    scopes: frozenset[str]
    note: str = ""


@dataclass(frozen=True)
class Rule:
    """A combination of facts and what it says."""

    id: str
    all: tuple[str, ...]
    any: tuple[str, ...]
    none: tuple[str, ...]
    weights: Mapping[str, float]
    why: str


@dataclass(frozen=True)
class Signatures:
    """Everything that the ranking knows.

    Attributes:
        patterns: All patterns, in file order.
        rules: All rules, in file order.
        priors: Cause -> log of its prior probability.
        families: Cause -> family.
        calibration: Parameters that turn scores into probabilities.
    """

    patterns: tuple[Pattern, ...]
    rules: tuple[Rule, ...]
    priors: Mapping[str, float]
    families: Mapping[str, str]
    calibration: Mapping[str, float]
    fingerprint: str = field(default="")


def _strings(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _pattern(raw: Mapping[str, Any]) -> Pattern:
    weights = {str(cause): float(w) for cause, w in (raw.get("w") or {}).items()}
    role = raw.get("role") or ("root" if any(w >= 2 for w in weights.values()) else "clue")
    scopes = frozenset(_strings(raw.get("in")) or ("log", "context"))
    return Pattern(raw["id"], raw["re"], bool(raw.get("i")), weights, role, scopes, str(raw.get("note", "")))


def _rule(raw: Mapping[str, Any]) -> Rule:
    weights = {str(cause): float(w) for cause, w in raw["w"].items()}
    parts = (_strings(raw.get(key)) for key in ("all", "any", "none"))
    return Rule(raw["id"], *parts, weights, str(raw.get("why", "")))


@lru_cache(maxsize=1)
def load_signatures() -> Signatures:
    """Read the signature files of the package. Cached; costs tens of milliseconds the first time."""
    import hashlib
    import math

    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    folder = resources.files("dlcoder.knowledge") / "signatures"
    patterns: list[Pattern] = []
    rules: list[Rule] = []
    digest = hashlib.sha256()
    files = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".yaml")}
    for name in sorted(files):
        text = files[name].read_bytes()
        digest.update(text)
        if name in ("priors.yaml", "calibration.yaml"):
            continue
        content = yaml.load(text, Loader=loader) or {}
        patterns += map(_pattern, content.get("patterns") or ())
        rules += map(_rule, content.get("rules") or ())
    priors = yaml.load(files["priors.yaml"].read_bytes(), Loader=loader)
    calibration = yaml.load(files["calibration.yaml"].read_bytes(), Loader=loader)
    shares = {cause: float(share) for family in priors.values() for cause, share in family.items()}
    total = sum(shares.values())
    return Signatures(
        tuple(patterns),
        tuple(rules),
        {cause: math.log(share / total) for cause, share in shares.items()},
        {cause: family for family, causes in priors.items() for cause in causes},
        {key: float(value) for key, value in calibration.items()},
        digest.hexdigest()[:16],
    )
