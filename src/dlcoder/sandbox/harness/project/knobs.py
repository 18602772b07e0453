"""Options of the user's program, from its command line and its configuration files, and whether each has an effect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from .judge_loop import complete
from .judge_step import sources
from .runs import Event, Result

PLACEHOLDER = "__DLCODER_VALUE__"
"""Stands for one value in a configuration file's text, as `smoke` sends it."""

_SEED = re.compile(r"(^|[._-]|manual|random|global)seed$|^seed_everything$", re.IGNORECASE)
_LENGTH = re.compile(
    r"(^|[._-])(max|num|n|total|train)?[_-]?(train[_-])?(steps|iters|iterations|updates)$", re.IGNORECASE
)
_EPOCHS = re.compile(r"(^|[._-])(max|num|n|total)?[_-]?(train[_-])?epochs?$", re.IGNORECASE)
_PERIOD = re.compile(
    r"every|interval|freq|period|(log|eval|val|test|save|sample|print)[a-z]*[._-]n?(steps|iters|epochs)$", re.IGNORECASE
)
_WINDOW = re.compile(r"accum", re.IGNORECASE)
_RESUME = re.compile(r"resume|restore|continue|auto_?resume", re.IGNORECASE)
_LOAD = re.compile(r"init[_-]?from|load|checkpoint|ckpt|pretrained|weights$", re.IGNORECASE)
_MACHINE = re.compile(
    r"device|cuda|gpu|cpu|backend|rank|world|dist|port|master|node|nproc|resume|restore|continue|config|cfg|"
    r"compile|wandb|tensorboard|mlflow|project|tags?$|entity|pin_?memory|prefetch|persistent|deterministic|benchmark|tf32|channels_last|"
    r"verbose|quiet|debug|profile|log_level|fused|foreach|help|version|download|no_?sync|timeout|ckpt|checkpoint",
    re.IGNORECASE,
)
_TRAINS = re.compile(
    r"(^|[._-])(lr|learning_?rate|min_?lr|weight_?decay|wd|momentum|betas?\d?|eps|dropout|drop|p|smoothing|label_?smoothing|"
    r"warm_?up.*|clip.*|grad_?clip.*|max_?norm|accum.*|gradient_?accum.*|ema.*|decay|batch_?size|bs|seed|.*weight|alpha|"
    r"gamma|temperature|tau|margin|width|hidden.*|dim|channels|depth|layers|n_?layers?|heads|n_?heads?|epochs|.*steps|"
    r".*iters|size|samples|classes|num_?classes|scheduler|optimizer|loss|model|augment.*|flip|crop)$",
    re.IGNORECASE,
)


_RARE = re.compile(r"patience|early_?stop|tolerance|min_delta|max_(bad|retries|failures)|nan_?limit", re.IGNORECASE)
_SHOWS = re.compile(r"save|log|print|plot|show|export|write|eval|test|val|sample|monitor|best", re.IGNORECASE)
_SETTINGS = re.compile(r"Config|Settings|Options|Args|Arguments|Params|Hparams|Cfg", re.IGNORECASE)
_SIMPLE = ("_StoreAction", "_StoreTrueAction", "_StoreFalseAction", "BooleanOptionalAction")


class Knob:
    """One option.

    Attributes:
        name: As the user writes it: "--weight-decay" or "optim.weight_decay (config.yaml)".
        leaf: The last part of its name, with underscores.
        value: What it is in the usual run.
        file: The configuration file, or an empty text for the command line.
        owner: The data class whose default it is, if it is given nowhere else.
        choices: The values that it may have, where they are known.
    """

    def __init__(self, name: str, leaf: str, value: Any, file: str, template: str, option: Event | None) -> None:
        self.choices: list[Any] = list((option or {}).get("choices") or [])
        self.name = name
        self.leaf = leaf
        self.value = value
        self.file = file
        self.template = template
        self.option = option
        self.owner = ""

    @property
    def kind(self) -> str:
        """Of which type its values are: "flag", "bool", "int", "float", "str", or "" where that is not known."""
        if self.option is not None:
            if self.option["kind"] in ("_StoreTrueAction", "_StoreFalseAction", "BooleanOptionalAction"):
                return "flag"
            if self.option["type"] in ("int", "float", "str"):
                return str(self.option["type"])
            return "str" if isinstance(self.value, str) or self.value is None else type(self.value).__name__
        return type(self.value).__name__ if self.value is not None else ""

    def set(self, value: Any) -> dict[str, Any]:
        """What to give a run so that this option has `value`: `extra` arguments or `files`."""
        if self.owner:
            return {"options": {"defaults": {f"{self.owner}.{self.leaf}": value}}}
        if self.file.endswith(".py"):
            return {"files": {self.file: self.template.replace(PLACEHOLDER, repr(value))}}
        if self.file:
            text = self.template.replace(json.dumps(PLACEHOLDER), literal(value)).replace(PLACEHOLDER, literal(value))
            return {"files": {self.file: text}}
        flags = self.option["flags"] if self.option else []
        flag = next((f for f in flags if f.startswith("--")), flags[0] if flags else "")
        if self.kind == "flag":
            negative = next((f for f in flags if f.startswith("--no-")), "")
            return {"extra": [flag if value or not negative else negative]}
        return {"extra": [flag, str(value)]}

    def other(self) -> Any:
        """A different value that the program should accept; `None` where none is known."""
        if self.choices:
            return next((c for c in self.choices if c != str(self.value)), None)
        value, kind = self.value, self.kind
        if kind == "flag":
            return not value if not self.option or self.option["kind"] != "_StoreFalseAction" else value
        if isinstance(value, bool):
            return not value
        if kind == "int" and isinstance(value, int) and value > 1 and _is_length(self.leaf):
            # Shorter, not longer: runs are stopped early, and what comes after that cannot be seen.
            return 1 if _EPOCHS.fullmatch(self.leaf) or value == 2 else 2
        if kind == "int":
            return int(value) * 2 if isinstance(value, int) and value else 1 if value == 0 else 2
        if kind == "float":
            base = float(value) if isinstance(value, (int, float)) else 0.0
            return base / 2 if base else 0.1
        if kind == "list":
            return [item * 2 if isinstance(item, int) else item / 2 for item in value]
        if kind == "str":
            return f"{value}x" if value else "other"
        return None

    def extreme(self) -> Any:
        """A value far from the usual one, for an option of which `other` did not show; `None` where none is known."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or self.choices:
            return None
        if self.kind == "int":
            return value // 8 if value >= 8 and not _is_length(self.leaf) else None
        return value * 1000 if 0 < abs(value) < 1e-4 else value / 1000 or None


def _is_length(leaf: str) -> bool:
    """Whether an option says how long something lasts, or how often it happens."""
    return bool(_LENGTH.fullmatch(leaf) or _EPOCHS.fullmatch(leaf) or _PERIOD.search(leaf))


def literal(value: Any) -> str:
    """A value as both YAML and JSON read it."""
    if isinstance(value, float):
        text = f"{value:.12f}".rstrip("0")
        return text + "0" if text.endswith(".") else text
    return json.dumps(value)


def find_knobs(plain: Result, configs: dict[str, list[Event]], args: list[str]) -> list[Knob]:
    """The options of a program.

    Args:
        plain: A run of it.
        configs: Leaves of configuration files, by path: name, value and the file's text with a placeholder.
        args: The arguments of the run.

    Returns:
        Command-line options, and the leaves of the configuration files that the run read; of a leaf that several
        files have, the one that was read last.
    """
    found = []
    code = sources(plain)
    for event in plain.events("options")[:1]:
        for option in event["options"]:
            # A framework's parser has options that the program has never heard of.
            if not event["own"] and not re.search(rf"\b{re.escape(option['dest'])}\b", code):
                continue
            plain_kind = option["kind"] in (
                "_StoreAction",
                "_StoreTrueAction",
                "_StoreFalseAction",
                "BooleanOptionalAction",
            )
            if option["flags"] and plain_kind and option["nargs"] in (None, 0, "?"):
                name = next((f for f in option["flags"] if f.startswith("--")), option["flags"][0])
                found.append(Knob(name, option["dest"], option["value"], "", "", option))
    leaves: dict[str, Knob] = {}
    for file in list(dict.fromkeys(e["path"] for e in plain.events("config"))):
        for leaf in configs.get(file, []):
            last = leaf["name"].rpartition(".")[2]
            leaves[leaf["name"]] = Knob(f"{leaf['name']} ({file})", last, leaf["value"], file, leaf["template"], None)
    found += _constants(configs, found or list(leaves.values()), code)
    given = {k.leaf for k in [*found, *leaves.values()]}
    return found + list(leaves.values()) + [k for k in _default_knobs(plain) if k.leaf not in given]


def _constants(configs: dict[str, list[Event]], others: list[Knob], code: str) -> list[Knob]:
    """Constants of the script as its options: where it has no others, or says that a file may override them."""
    if others and not re.search(r"exec\(open\(", code):
        return []
    found = []
    for file in (name for name in configs if name.endswith(".py")):
        for leaf in configs[file]:
            knob = Knob(f"{leaf['name']} ({file})", leaf["name"], leaf["value"], file, leaf["template"], None)
            knob.choices = list(leaf.get("choices", ()))
            found.append(knob)
    return found


def _default_knobs(plain: Result) -> Iterable[Knob]:
    """The defaults of data classes that hold settings."""
    given = {cls: fields for e in plain.events("final") for cls, fields in e.get("given", {}).items()}
    for event in plain.events("dataclass"):
        if _SETTINGS.search(event["cls"]):
            for name, value in event["defaults"].items():
                if name in given.get(event["cls"], []):
                    continue
                knob = Knob(f"{event['cls']}.{name}", name, value, "", "", None)
                knob.owner = event["cls"]
                yield knob


def seed_knob(knobs: Iterable[Knob]) -> Knob | None:
    """The option that holds the seed."""
    return next((k for k in knobs if _SEED.search(k.leaf) and k.kind in ("int", "")), None)


def length_knobs(knobs: Iterable[Knob]) -> list[Knob]:
    """Options by which a run is made longer."""
    knobs = list(knobs)
    steps = [k for k in knobs if _LENGTH.fullmatch(k.leaf) and k.kind == "int"]
    return steps[:1] + [k for k in knobs if _EPOCHS.fullmatch(k.leaf) and k.kind == "int"][:1]


def window_knob(knobs: Iterable[Knob], size: int) -> Knob | None:
    """The option that says how many micro-batches a step has, where they are `size`."""
    return next((k for k in knobs if _WINDOW.search(k.leaf) and k.kind == "int" and k.value == size), None)


def resume_knob(knobs: Iterable[Knob]) -> Knob | None:
    """The option by which a run is resumed."""
    knobs = sorted(knobs, key=lambda knob: not knob.leaf.lower().startswith("resume"))
    for pattern in (_RESUME, _LOAD):
        for knob in knobs:
            choices = knob.choices
            if pattern.search(knob.leaf) and (pattern is _RESUME or "resume" in choices or not knob.value):
                return knob
    return None


def resume_value(knob: Knob, checkpoint: str) -> Any:
    """What the option must be for a run to go on from a checkpoint."""
    choices = knob.choices
    if "resume" in choices:
        return "resume"
    if "auto" in choices:
        return "auto"
    return True if knob.kind in ("flag", "bool") else checkpoint


def why_not(knob: Knob) -> str:
    """Why an option is not tried; empty if it should be."""
    if _MACHINE.search(knob.leaf):
        return "depends on the machine or another run"
    if knob.other() is None:
        return "no other value is known"
    return ""


def is_rare(knob: Knob, plain: Result) -> bool:
    """Whether an option is one that shows only in a run that goes wrong, and the code uses it."""
    uses = len(re.findall(rf"\b{re.escape(knob.leaf)}\b", _without_declaration(sources(plain), knob.leaf)))
    return bool(_RARE.search(knob.leaf)) and uses > (0 if knob.option is not None else 1)


def is_read(knob: Knob, plain: Result) -> bool | None:
    """Whether the program reads an option; `None` where that cannot be told."""
    final: Event = next(iter(plain.events("final")), {"reads": {}})
    code = sources(plain)
    if knob.option is not None:
        reads = final["reads"].get("argparse")
        if reads is not None and knob.leaf in reads:
            return True
        # A run that was stopped may not have come to where an option is read.
        if reads is None or "__dict__" in reads or not complete(plain):
            return None if re.search(rf"\b{re.escape(knob.leaf)}\b", _without_declaration(code, knob.leaf)) else False
        return False
    if knob.file.endswith(".py"):
        return None
    classes = {e["cls"]: e["fields"] for e in plain.events("dataclass")}
    holders = [cls for cls, fields in classes.items() if knob.leaf in fields]
    if holders:
        return any(knob.leaf in final["reads"].get(cls, []) for cls in holders)
    return None if re.search(rf"\b{re.escape(knob.leaf)}\b", code) else False


def _without_declaration(code: str, leaf: str) -> str:
    """The code without the add_argument call that declares an option."""
    flag = re.escape(leaf).replace("_", "[-_]")
    return re.sub(rf"add_argument\(\s*['\"]--{flag}['\"].*", "", code)


def shapes_training(knob: Knob) -> bool:
    """Whether an option's name says that it must have an effect on training."""
    return bool(_TRAINS.search(knob.leaf)) and not _PERIOD.search(knob.leaf) and not _SHOWS.match(knob.leaf)
