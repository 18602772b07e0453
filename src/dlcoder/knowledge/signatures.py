"""What messages mean: the typed loader of `signatures/*.yaml`.

The YAML files are what people edit. Parsing them takes a tenth of a second, so `signatures.json`, written from them by
`python -m dlcoder.knowledge.signatures`, is what is read; a test keeps the two equal.

Each file holds two lists. `patterns` are regular expressions (in the subset that RE2 and Hyperscan share, so none can
backtrack); a match is a *fact* with the pattern's id, and may carry weights: how much it speaks for or against a cause,
in nats of log-odds. `rules` combine facts: `all` must hold, at least one of `any`, and none of `none`; their weights
are
added on top. That is the whole model: what speaks for a cause can be read off the files.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from dlcoder.knowledge.literals import Alternative, alternatives

Scope = Literal["log", "context", "code", "environment"]
Role = Literal["root", "effect", "clue", "benign"]
SCOPES: tuple[Scope, ...] = ("log", "context", "code", "environment")
_HERE = Path(__file__).parent
_COMPILED = _HERE / "signatures.json"


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
        mutes: `always` where nothing else that its line seems to say counts; `beside` where that counts only as long as
            no other line names a failure.
        alternatives: The expression taken apart, each part with literals of which one must be present.
    """

    id: str
    regex: str
    ignore_case: bool
    weights: Mapping[str, float]
    role: Role
    scopes: frozenset[str]
    note: str = ""
    mutes: Literal["", "always", "beside"] = ""
    alternatives: tuple[Alternative, ...] = ()


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


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _compile_pattern(raw: Mapping[str, Any]) -> dict[str, Any]:
    weights = {str(cause): float(w) for cause, w in (raw.get("w") or {}).items()}
    return {
        "id": raw["id"],
        "regex": raw["re"],
        "ignore_case": bool(raw.get("i")),
        "weights": weights,
        "role": raw.get("role") or ("root" if any(w >= 2 for w in weights.values()) else "clue"),
        "scopes": _strings(raw.get("in")) or ["log", "context"],
        "note": raw.get("note", ""),
        "mutes": raw.get("mutes", ""),
        "alternatives": [[a.regex, list(a.literals)] for a in alternatives(raw["re"])],
    }


def _compile_rule(raw: Mapping[str, Any]) -> dict[str, Any]:
    weights = {str(cause): float(w) for cause, w in raw["w"].items()}
    parts = {key: _strings(raw.get(key)) for key in ("all", "any", "none")}
    return {"id": raw["id"], **parts, "weights": weights, "why": raw.get("why", "")}


def compile_files(folder: Path = _HERE / "signatures") -> dict[str, Any]:
    """Read the YAML files into what `signatures.json` holds."""
    import yaml

    patterns: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    special: dict[str, Any] = {}
    for file in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        if file.stem in ("priors", "calibration"):
            special[file.stem] = content
            continue
        patterns += [_compile_pattern(raw) for raw in content.get("patterns") or ()]
        rules += [_compile_rule(raw) for raw in content.get("rules") or ()]
    return {"patterns": patterns, "rules": rules, **special}


def _pattern(raw: dict[str, Any]) -> Pattern:
    parts = tuple(Alternative(regex, tuple(literals)) for regex, literals in raw["alternatives"])
    scopes = frozenset(raw["scopes"])
    role = cast(Role, raw["role"])
    regex, note, mutes = raw["regex"], raw["note"], raw["mutes"]
    return Pattern(raw["id"], regex, raw["ignore_case"], raw["weights"], role, scopes, note, mutes, parts)


def _rule(raw: dict[str, Any]) -> Rule:
    return Rule(raw["id"], tuple(raw["all"]), tuple(raw["any"]), tuple(raw["none"]), raw["weights"], raw["why"])


@cache
def load_signatures() -> Signatures:
    """Read the compiled signatures. Cached; costs a few milliseconds the first time."""
    raw = json.loads(_COMPILED.read_text(encoding="utf-8"))
    shares = {cause: share for family in raw["priors"].values() for cause, share in family.items()}
    total = sum(shares.values())
    return Signatures(
        tuple(map(_pattern, raw["patterns"])),
        tuple(map(_rule, raw["rules"])),
        {cause: math.log(share / total) for cause, share in shares.items()},
        {cause: family for family, causes in raw["priors"].items() for cause in causes},
        raw["calibration"],
    )


def main() -> None:
    """Write `signatures.json`."""
    text = json.dumps(compile_files(), ensure_ascii=False, separators=(",", ":"))
    _COMPILED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
