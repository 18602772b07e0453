"""A model under examination: what it takes, and what comes out."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from . import judge, values
from .build import Builder
from .call import flat_outputs, needed, signature_of
from .contract import Contract, Spec
from .core import Broken, Skip, Subject, reseed
from .layouts import documented_shapes, unpacked_rank
from .source import Source

Inputs = dict[str, Tensor]


def suits(value: Any) -> float:
    """How much a definition looks like a model."""
    if inspect.isclass(value):
        return 3.0 if issubclass(value, nn.Module) and "forward" in dir(value) else 0.0
    return 1.0 if re.search(r"model|build|create|make|net", value.__name__, re.I) else 0.0


class ModelCase(Subject):
    """The model and its inputs.

    Attributes:
        specs: One per input; the first is the main one.
    """

    def __init__(self, builder: Builder, contract: Contract, source: Source) -> None:
        self.builder = builder
        self.contract = contract
        self.source = source
        self.specs: list[Spec] = []
        self._eval: nn.Module | None = None

    def prepare(self) -> None:
        """Settle what the model takes.

        Raises:
            Broken: It is no module, cannot be built, or accepts nothing that was tried.
        """
        self.builder.prepare()
        model: Any = self.fresh()
        if not isinstance(model, nn.Module):
            fix = "Name the module's class, or a function that returns one, in contract.target."
            raise Broken(type(model).__name__, "a torch.nn.Module", "The target builds no module.", fix)
        stated = self.contract.specs()
        parameters = needed(model, named=tuple(spec.name for spec in stated or ()), truth=False)
        if stated:
            self.specs = [_as_graph(spec, self.contract) for spec in stated]
            first = self._works(model)
            if first is not None:
                raise first
            return
        self._search(model, parameters)

    def _search(self, model: nn.Module, parameters: list[inspect.Parameter]) -> None:
        first: Broken | None = None
        names = [p.name for p in parameters] or ["x"]
        documented = documented_shapes(parameters, self.source)
        ran: list[Spec] = []
        shape = documented.get(names[0], ((), ""))[0] or ("B",) * unpacked_rank(self.source.code(), names)
        likely = candidates(model, names[0], self.contract, shape)
        channels = next((c for c in map(self.builder.default, _CHANNELS) if type(c) is int), None)
        if len(shape) == 5 and channels:
            likely.insert(0, Spec(names[0], ("B", 4, channels, 16, 16), "real"))
        exact = self._exact(names[0])
        if exact is None and any(str(entry).isdigit() for entry in shape) and likely and likely[0].role == "real":
            exact = Spec(names[0], tuple(int(e) if str(e).isdigit() else e for e in shape), "real")
        likely = ([exact] if exact else []) + likely
        likely += [replace(s, shape=(s.shape[0], s.shape[2], s.shape[1])) for s in likely if len(s.shape) == 3]
        likely += self._sized_by_words(names[0])
        if any(re.match(GRAPH, name) for name in names[1:]):
            likely = [replace(spec, shape=("N", *spec.shape[1:])) for spec in likely if len(spec.shape) == 2]
        for spec in likely:
            known = {name: self._exact(name) for name in names[1:]}
            options = [
                [e] if (e := known[n]) else _companions(n, spec, documented.get(n), self.contract) for n in names[1:]
            ]
            for others in _together(options):
                self.specs = [spec, *others]
                broken = self._works(model)
                first = first or broken
                if broken is None:
                    ran = ran or self.specs
                    # A mask that leaves nothing to attend to, as one read the wrong way round does, gives nan.
                    if all(map(judge.finite, self.outputs(model, self.inputs()))):
                        return self._settle(self.specs)
            if ran:
                return self._settle(ran)
        raise first or Broken("no inputs", "an input", "No input could be guessed.", "State contract.inputs.")

    def _sized_by_words(self, name: str) -> list[Spec]:
        """Vectors, and sequences of them, as wide as an argument of the constructor says."""
        words = r"(in_?|input_|obs_?|state_|data_|x_|n_)?(dim|features|size|channels|feats?|inputs?)"
        found = [self.builder.default(n) for n in self.builder.parameters if re.fullmatch(words, n)]
        widths = [size for size in found if type(size) is int]
        return [Spec(name, (*shape, size), "real") for size in widths for shape in (("B",), ("B", "T"))]

    def _exact(self, name: str) -> Spec | None:
        """A real input whose documented shape names constructor arguments, as in `x: (B, in_features)`."""
        stated = re.search(rf"\b{name}\b[^\n()]{{0,12}}\(([^()]*)\)", self.source.docs_in_focus())
        entries: list[Any] = []
        for part in stated.group(1).split(",") if stated else ():
            word = part.strip()
            size = self.builder.default(word)
            entries.append(size if type(size) is int else word.upper() if re.fullmatch(r"[A-Z]", word) else None)
        sized = any(isinstance(entry, int) for entry in entries)
        return Spec(name, tuple(entries), "real") if sized and None not in entries else None

    def _settle(self, specs: list[Spec]) -> None:
        self.specs = specs
        for spec in specs:
            self.contract.assume(f"{spec.name}: ({', '.join(map(str, spec.shape))}) {spec.role}")

    def _works(self, model: nn.Module) -> Broken | None:
        """None if the model accepts the inputs in eval mode, else why it does not."""
        try:
            with torch.no_grad():
                found = flat_outputs(self.call(model.eval(), self.inputs()))
        except Exception as error:
            shapes = ", ".join(f"{spec.name} {self.contract.shape(spec.shape)}" for spec in self.specs)
            where = self.source.raised_at(error) or "the call"
            fix = f"Correct {where}, or state the right shapes in contract.inputs."
            return Broken(
                f"{type(error).__name__}: {error}", "no exception", f"Called with {shapes}, it raised at {where}.", fix
            )
        if not found:
            return Broken("no tensor", "a tensor", "The output holds no floating-point tensor.", "Return tensors.")
        return None

    # Building and calling.

    def fresh(self, **changes: Any) -> nn.Module:
        """A new model, equally initialised, in train mode as the constructor leaves it."""
        model: nn.Module = self.builder.build(**changes)
        return model

    @property
    def evaluated(self) -> nn.Module:
        """One model in eval mode for checks that leave it as it is; what starts at zero has been moved off it."""
        if self._eval is None:
            self._eval = self.fresh().eval()
            wake(self._eval)
        return self._eval

    def inputs(self, seed: int = 1, **changed: int) -> Inputs:
        """Draw inputs; `changed` sets sizes by symbol, as in `inputs(B=1)`."""
        generator = torch.Generator().manual_seed(seed)
        table = {**self.contract.sizes, **changed}
        return {spec.name: values.make(spec, self.contract, generator, table) for spec in self.specs}

    def call(self, model: nn.Module, inputs: Inputs) -> Any:
        """Call the model by name where its signature allows it."""
        signature = signature_of(model)
        names = signature.parameters if signature else {}
        keywords = {n for n, p in names.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        self.note("input", inputs)
        named = all(name in keywords for name in inputs)
        result = model(**inputs) if named else model(*inputs.values())
        self.note("output", result)
        return result

    def outputs(self, model: nn.Module, inputs: Inputs, seed: int = 0) -> list[Tensor]:
        """Every floating tensor that comes out, without a graph."""
        reseed(seed)
        with torch.no_grad():
            return flat_outputs(self.call(model, {name: value.clone() for name, value in inputs.items()}))

    def graph_outputs(self, model: nn.Module, inputs: Inputs) -> list[Tensor]:
        """Every floating tensor that comes out, with the graph."""
        return flat_outputs(self.call(model, inputs))

    def spec(self, name: str) -> Spec:
        """The input of that name."""
        return next(spec for spec in self.specs if spec.name == name)

    @property
    def main(self) -> Spec:
        """The first input."""
        return self.specs[0]

    @property
    def batch(self) -> int:
        """The batch size of the inputs as drawn."""
        return self.inputs()[self.main.name].shape[0]

    def batched(self, outputs: list[Tensor]) -> list[int]:
        """The indices of outputs whose first dimension is the batch.

        Raises:
            Skip: There are none.
        """
        if any(re.match(GRAPH, spec.name) for spec in self.specs):
            raise Skip("nodes of one graph are no batch of samples")
        found = [i for i, value in enumerate(outputs) if value.dim() and value.shape[0] == self.batch]
        if not found and all(value.dim() for value in outputs) and self.main.shape and str(self.main.shape[0]) == "B":
            alone = self.outputs(self.evaluated, self.inputs(B=2))
            if [value.shape for value in alone] == [value.shape for value in outputs]:
                where = self.source.point(r"\[-1\]|\[0\]|mean\(0|sum\(0|dim=0|squeeze", r"return")
                shown = ", ".join(str(tuple(value.shape)) for value in outputs[:3])
                why = "The output is the same size for any batch: samples are lost or merged."
                raise Broken(shown, f"a first dimension of {self.batch}", why, f"Keep the batch dimension at {where}.")
        if not found or any(self.inputs()[spec.name].dim() == 0 for spec in self.specs):
            raise Skip("no output has the batch as its first dimension")
        return found

    def is_sequence(self) -> bool:
        """Whether the main input is a sequence of tokens or vectors."""
        return self.main.role == "tokens" or [str(s) for s in self.main.shape[:2]] == ["B", "T"]

    def scale(self, outputs: list[Tensor]) -> float:
        """The magnitude of outputs, for relative tolerances."""
        return max([judge.max_abs(value) for value in outputs] + [1e-6])


def wake(model: nn.Module) -> None:
    """Move parameters that are all zero: a branch that starts at zero would hide what it does."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and not parameter.is_meta and judge.max_abs(parameter) == 0:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))


def candidates(model: nn.Module, name: str, contract: Contract, shape: tuple[str, ...] = ()) -> list[Spec]:
    """Inputs that the model's layers suggest, those of the documented number of dimensions first."""
    found: list[Spec] = []
    for module in model.modules():
        found += [Spec(name, shape, role, high=high) for shape, role, high in _from_layer(module, contract)]
    fixed = [("B", 3, 32, 32), ("B", 3, 64, 64), ("B", 3, 224, 224), ("B", 16), ("B", "T", 16), ("B", 1, 28, 28)]
    found += [Spec(name, shape, "real") for shape in fixed]
    found += [Spec(name, ("B", 4, *s.shape[1:]), s.role) for s in found if len(s.shape) == 4 and s.shape[-1] == 16]
    unique: list[Spec] = []
    for spec in found:
        if spec not in unique:
            unique.append(spec)
    if re.search(r"ids|tokens?|idx", name):
        unique.sort(key=lambda spec: spec.role != "tokens")
    if shape:
        unique.sort(key=lambda spec: len(spec.shape) != len(shape))
    return unique[:24]


def _from_layer(module: nn.Module, contract: Contract) -> list[tuple[tuple[Any, ...], str, float | None]]:
    if isinstance(module, nn.Conv2d):
        channels = module.in_channels
        if "H" in contract.given_sizes():
            return [(("B", channels, "H", "W"), "real", None)]
        return [(("B", channels, size, size), "real", None) for size in (32, 64, 16, 128, 224)]
    if isinstance(module, nn.Conv1d):
        return [(("B", module.in_channels, 32), "real", None)]
    if isinstance(module, nn.Conv3d):
        return [(("B", module.in_channels, 16, 16, 16), "real", None)]
    if isinstance(module, nn.Embedding):
        return [(("B", "T"), "tokens", float(module.num_embeddings)), (("B",), "tokens", float(module.num_embeddings))]
    if isinstance(module, nn.RNNBase):
        return [(("B", "T", module.input_size), "real", None)]
    if isinstance(module, (nn.MultiheadAttention,)):
        return [(("B", "T", module.embed_dim), "real", None)]
    if isinstance(module, nn.Linear):
        return [(("B", module.in_features), "real", None), (("B", "T", module.in_features), "real", None)]
    if isinstance(module, nn.LayerNorm):
        return [(("B", "T", *module.normalized_shape), "real", None)]
    return []


_CHANNELS = ("in_channels", "input_channels", "in_chans", "channels")

GRAPH = r"edge_?(index|list|s$)|adj"
"""Names of inputs that say which nodes of a graph are joined."""


def _as_graph(spec: Spec, contract: Contract) -> Spec:
    """An adjacency as zeros and ones, edges as indices of nodes; any other input as it is."""
    if re.match(r"adj", spec.name) and spec.role == "real":
        return replace(spec, role="multihot")
    if re.match(r"edge_?(index|list)", spec.name):
        return replace(spec, role="tokens", high=spec.high or float(contract.sizes["N"]))
    return spec


def _companions(
    name: str, main: Spec, documented: tuple[tuple[str, ...], str] | None, contract: Contract
) -> list[Spec]:
    """What a further required input may be, by its name and documentation, the likeliest first."""
    if re.match(GRAPH, name):
        shapes = (("N", "N"), (2, 12)) if name.startswith("adj") else ((2, 12), (12, 2))
        return [Spec(name, s, "multihot" if s[0] == "N" else "tokens", high=float(contract.sizes["N"])) for s in shapes]
    if re.match(r"edge_(attr|weight|feat)", name):
        return [Spec(name, (12,), "positive"), Spec(name, (12, main.shape[-1]), "real")]
    if re.fullmatch(r"batch(_?ind(ex|ices))?", name):
        return [Spec(name, main.shape[:1], "tokens", high=1.0)]
    if "mask" in name:
        return _masks(name, main, documented)
    if re.fullmatch(r"t|ts?teps?|timesteps?|time|step|noise_level", name):
        return [Spec(name, ("B",), "tokens", high=10)]
    if re.fullmatch(r"y|labels?|class_labels?|classes|targets?", name):
        return [Spec(name, ("B",), "labels")]
    if re.search(r"lengths?$|lens$", name):
        return [Spec(name, ("B",), "lengths"), Spec(name, main.shape, main.role, high=main.high)]
    return [Spec(name, main.shape, main.role, high=main.high)]


def _masks(name: str, main: Spec, documented: tuple[tuple[str, ...], str] | None) -> list[Spec]:
    """Masks of the documented shape, else one entry per position: booleans or numbers, for padding or for the rest."""
    shape = documented[0] if documented else ("B", "T")
    if len(shape) == 2 and len(main.shape) == 3 and main.shape[1] == "T":
        shape = main.shape[:2]
    words = documented[1].lower() if documented else ""
    pads = re.search(r"pad_?(ding)?_mask", name) or re.search(
        r"(true|1|one)\b[^.,;]*\b(pad|ignore|exclude|mask)", words
    )
    keeps = re.search(r"(true|1|one)\b[^.,;]*\b(valid|keep|kept|real|attend|observed|token)", words)
    if pads:
        return [Spec(name, shape, "pad_true")]
    certain = bool(keeps) or bool(re.search(r"att(entio)?n_mask|valid|keep", name))
    kinds = ("keep_true", "keep_one") if "bool" in words else ("keep_one", "keep_true")
    if certain:
        return [Spec(name, shape, kind) for kind in kinds]
    return [Spec(name, shape, f"maybe_{kind}") for kind in (*kinds, "pad_true")]


def _together(choices: list[list[Spec]]) -> list[list[Spec]]:
    """The first choices of all inputs, then their alternatives, those that are out of choices keeping their last."""
    rounds = max([1, *map(len, choices)])
    return [[options[min(number, len(options) - 1)] for options in choices] for number in range(rounds)]
