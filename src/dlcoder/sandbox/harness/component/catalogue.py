"""What every check is called, what it proves, what it costs and which mutant it must kill. Facts only: no torch here.

`id` is the number of the check in the family that it belongs to (L loss, M model, D dataset, T metric and training
pieces). A `fatal` check ends the battery when it fails; one `on_request` runs only if it is named.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One check as a fact.

    Attributes:
        id: Its number.
        name: Its name in reports.
        proves: What holds when it passes, as a sentence.
        kills: The mutant that it must kill.
        price: Seconds on one core, roughly.
        fatal: Whether its failure ends the battery.
        on_request: Whether it runs only if it is named.
    """

    id: str
    name: str
    proves: str
    kills: str
    price: float = 0.005
    fatal: bool = False
    on_request: bool = False


_LOADS = Entry("A1", "loads", "The code imports.", "a missing import or a syntax error", fatal=True)
_INTERFACE = Entry("A2", "interface", "It can be built and called.", "a wrong signature or shape", 0.02, fatal=True)

LOSS = (
    _LOADS,
    _INTERFACE,
    Entry("L1", "output", "The loss is one finite float32 number.", "mean() forgotten; nan from log(0)"),
    Entry("L2a", "gradient-flows", "The loss sends a finite gradient to its prediction.", "detach(), item(), argmax"),
    Entry("L18", "inputs-untouched", "The inputs are not written to.", "target[target == 255] = 0 in place"),
    Entry("L19", "repeatable", "Two calls give one value and leave nothing behind.", "self.total += loss"),
    Entry("L20", "inputs-count", "Every input changes the value.", "a weight map that is never multiplied in"),
    Entry("L8", "perfect-is-lowest", "A perfect prediction costs least, about nothing.", "double softmax; label + 1"),
    Entry("L5", "all-ignored", "A target without a valid element gives a finite loss and no gradient.", "0 / 0"),
    Entry("L6", "ignored-elements", "Ignored elements change neither value nor gradient.", "ignore_index not applied"),
    Entry("L6b", "ignored-divisor", "The mean is over valid elements.", "divides by all elements"),
    Entry("L7", "one-class", "A target of one class gives a finite loss.", "0 / 0 for absent classes"),
    Entry("L9", "label-range", "A label out of range is not taken for a class.", "target.clamp(0, C - 1)"),
    Entry("L4", "extreme-values", "Logits of 1e4 give finite value and gradient.", "log(softmax(x)); exp(x)"),
    Entry("L10", "order-invariance", "The order of the batch does not matter.", "a cumulative weight"),
    Entry("L11", "batch-reduction", "Value and batch size go together as declared.", "sum() instead of mean()"),
    Entry("L21", "batch-of-one", "A batch of one works.", "squeeze() drops the batch"),
    Entry("L13a", "reduction-modes", "none, mean and sum agree.", "reduction='sum' returns the mean"),
    Entry("L13b", "class-weights", "Class weights weigh their class.", "weight accepted and not used"),
    Entry("L13c", "label-smoothing", "Smoothing follows its formula.", "eps / C without (1 - eps)"),
    Entry("L13d", "focusing", "gamma mutes easy elements.", "p ** gamma for (1 - p) ** gamma"),
    Entry("L13e", "parameters-count", "Every number in the constructor has an effect.", "a margin never used", 0.02),
    Entry("L14", "degenerate-boxes", "Empty, equal and disjoint boxes give finite values.", "0 / 0 for zero height"),
    Entry("L15", "collapse", "Equal, zero and unpaired embeddings give finite values.", "sqrt(0); log(0)"),
    Entry("L6c", "mask", "What a mask leaves out has no influence and no share in the mean.", "mean() over padding"),
    Entry("L13f", "pos-weight", "pos_weight weighs the positives.", "the weight on the negatives"),
    Entry("L14b", "boxes-apart", "Boxes never cost less further apart.", "sides of the overlap not clamped"),
    Entry("L25", "continuous", "The value has no jumps.", "Huber without delta / 2", 0.02),
    Entry("L26", "quantile", "The slopes on both sides are q to 1 - q.", "pred - target for target - pred"),
    Entry("L26b", "both-errors", "Errors of both signs cost, more the larger.", "clamp(min=0) for abs()"),
    Entry("L27", "divergence", "A divergence is lowest, and level, at N(0, 1).", "log-variance taken for a deviation"),
    Entry("L27b", "spread", "A predicted spread follows the error.", "exp(log_var); log_var forgotten"),
    Entry("L28", "critics", "Real and fake are pushed apart.", "relu(1 - fake)"),
    Entry("L29", "own-pair", "An embedding does not compete with itself.", "diagonal left in the softmax"),
    Entry("L2b", "own-parameters", "What the loss learns itself gets a gradient.", "a detached temperature"),
    Entry("L30", "ranking", "Winners are pushed up, losers down, to the margin.", "margin - (neg - pos)"),
    Entry(
        "L31", "distillation", "The teacher's part is least where student and teacher agree.", "softmax for log_softmax"
    ),
    Entry("L32", "thresholds", "Threshold k parts labels above k from the rest.", ">= for >"),
    Entry("L33", "survival", "Risks that fall with time cost less.", "sorted ascending; no event"),
    Entry("L34", "class-dimension", "Softmax runs over the classes.", "dim=0; dim=-1 of (B, C, H, W)"),
    Entry("L35", "rows-normalized", "Normalized embeddings have no length.", "normalize(dim=0)"),
    Entry("L35b", "margin", "A larger margin costs more.", "margin subtracted; of the other classes"),
    Entry("L36", "both-ways", "A symmetric loss can be exchanged.", "one direction twice"),
    Entry("L37", "hard-examples", "Mining keeps the hardest.", "< for > at the threshold"),
    Entry("L38", "optional-inputs", "Optional weights and masks count.", "sample weights never multiplied in", 0.02),
    Entry("L39", "policy", "Good actions become likelier, within the clip range.", "max for min; a turned sign"),
    Entry("L39b", "predictors", "Each view predicts the other.", "the own view; a turned sign"),
    Entry("L40", "broadcast", "Prediction and truth are not broadcast.", "(B, 1) against (B,)"),
    Entry("L41", "learned-scalars", "Learned numbers are parameters.", "torch.tensor for nn.Parameter"),
    Entry(
        "L42", "terms", "Every term of the sum is least at the truth.", "dice for 1 - dice beside another term", 0.02
    ),
    Entry("L12", "initial-value", "Uniform logits cost what theory says.", "log2; a wrong divisor"),
    Entry("L2", "gradient-correct", "The gradient is that of the value.", "part of the value detached", 0.02),
    Entry("L3", "half-precision", "float16 and bfloat16 inputs give the float32 value.", "exp or sum overflows", 0.05),
    Entry("L3b", "autocast", "Under autocast the value stays.", "dtype mismatch in autocast"),
    Entry("L17", "memory-layout", "Strides do not matter.", "view() on a permuted tensor"),
    Entry(
        "L16a", "device", "Nothing stays on the CPU when the inputs move.", "weights not registered as a buffer", 0.02
    ),
    Entry("L24", "learns-target", "Descending it leads to the target.", "a sign error; scrambled pixels", 0.1),
    Entry("L16b", "compile", "torch.compile(fullgraph=True) accepts it.", "a branch on a value", 15, on_request=True),
    Entry("L16c", "cuda", "It gives the same value on the GPU.", "a tensor made on the CPU", 2),
)

MODEL = (
    _LOADS,
    _INTERFACE,
    Entry("M1", "output", "The output is finite, with the declared shape.", "a wrong head; nan at start"),
    Entry("M18b", "inputs-untouched", "The input is not written to.", "x += y; ReLU(inplace=True) on the input"),
    Entry("M5", "eval-deterministic", "Two calls in eval mode agree.", "dropout active in eval"),
    Entry("M6", "inputs-count", "Every input changes the output.", "a mask that is ignored"),
    Entry("M3", "batch-independence", "In eval, no sample sees another.", "mean over the batch; reshape mixes samples"),
    Entry("M4", "batch-size", "In eval, the batch size does not matter.", "squeeze(); a fixed batch size", 0.02),
    Entry("M1b", "sizes", "Other input sizes work or are refused with a reason.", "H and W swapped", 0.05),
    Entry("M18", "causal", "No position sees a later one.", "mask off by one; mask missing"),
    Entry("M18d", "labels-apart", "Labels for the loss do not change the outputs.", "labels added to the logits"),
    Entry("M18c", "padding", "Padded positions have no influence.", "mask inverted or not applied"),
    Entry("M21", "logits", "The output is logits.", "softmax, or ReLU, after the head"),
    Entry("M10", "registration", "Every parameter and module is registered.", "layers in a plain list"),
    Entry("M2", "gradients", "Every parameter gets a gradient.", "a branch not wired in; no_grad", 0.05),
    Entry(
        "M25", "input-gradient", "Gradients flow back to the input.", "an inline detach(); no straight-through", 0.03
    ),
    Entry("M26", "attention", "Attention weighs over the keys, by head.", "softmax(dim=1); heads reshaped away", 0.02),
    Entry("M27", "context", "Positions see each other.", "attention over the heads"),
    Entry("M28", "order", "A set of points has no order.", "reshape for transpose"),
    Entry("M9", "state-dict", "Saving and loading restores the output.", "a random tensor outside the state", 0.05),
    Entry("M11", "seeded", "Equal seeds build equal models.", "an unseeded generator", 0.02),
    Entry("M19", "boxes", "A detector trains on images without a box.", "mean() of no box", 0.05),
    Entry("M22", "eval-stateless", "A call in eval mode changes no state.", "running statistics updated in eval"),
    Entry("M8", "train-batch-of-one", "Training with a batch of one works or is refused.", "squeeze()"),
    Entry("M7", "initial-loss", "The initial loss is near ln C.", "initialised too large"),
    Entry("M12", "signal", "Neither output nor gradients explode.", "a residual multiplied per layer"),
    Entry("M23", "parameters-count", "Every number in the constructor has an effect.", "dropout rate never used", 0.1),
    Entry("M16", "parameter-count", "It has the stated number of parameters.", "a layer too many"),
    Entry("M13", "autocast", "bfloat16 autocast gives the float32 output.", "dtype mismatch", 0.05),
    Entry("M14", "memory-layout", "Strides do not matter.", "view() on channels_last", 0.02),
    Entry("M17", "device", "Nothing stays on the CPU when the model moves.", "arange without device", 0.1),
    Entry("M24", "overfits", "It can learn one batch.", "softmax in the net; no bias path", 0.8),
    Entry("M15", "compile", "torch.compile gives the same output.", "a graph break", 20, on_request=True),
    Entry("M15b", "cuda", "It gives the same output on the GPU.", "a tensor made on the CPU", 2),
)

DATASET = (
    _LOADS,
    _INTERFACE,
    Entry("D1", "items", "Items are finite, alike and as stated.", "255 instead of 1.0; length off by one", 0.01),
    Entry("D1b", "alignment", "Every sample is there once, with its label.", "labels[index - 1]", 0.01),
    Entry("D19", "rows", "A batch has one row for each sample, in one order.", "inputs sorted, labels not", 0.01),
    Entry("D19b", "complete", "Nothing of a sample is lost.", "cut to the shortest", 0.01),
    Entry("D19c", "lengths", "Lengths and masks are the samples' own.", "the padded length for all", 0.01),
    Entry("D14", "pure", "Taking an item changes no stored data.", "image.div_(255) on the cache", 0.01),
    Entry("D2", "geometry", "Image and mask move together.", "only the image is flipped", 0.05),
    Entry("D2b", "box-geometry", "Image and boxes move together.", "boxes not flipped", 0.01),
    Entry("D3", "mask-values", "No label is invented.", "bilinear resize of the mask", 0.02),
    Entry("D17", "picture", "The picture that enters the network is the one on disk.", "reshape(3, H, W)", 0.01),
    Entry("D18", "windows", "Targets are the tokens that follow.", "y = x", 0.01),
    Entry("D18b", "forecast", "A forecast begins after what is shown.", "target overlaps the input", 0.01),
    Entry("D13", "damaged-file", "A file that cannot be read is an error.", "except: return self[i + 1]", 0.02),
    Entry("D15", "resume", "state_dict() continues in the middle of an epoch.", "the place is not saved", 0.01),
    Entry("D16", "throughput", "It keeps up with the training.", "decoding a whole file per item", 0.5),
    Entry("D9", "eval-fixed", "Evaluation items do not vary.", "augmentation in validation", 0.02),
    Entry("D8", "splits-disjoint", "No sample is in two splits.", "overlapping slices", 0.02),
    Entry("D10", "batches", "Items form batches, the last of one included.", "items of unequal shape", 0.02),
    Entry("D11", "covers", "Evaluation sees every sample.", "drop_last=True", 0.05),
    Entry("D12", "picklable", "A spawned worker can receive it.", "a lambda or an open file", 0.01),
    Entry("D6", "ranks", "The ranks share the data out.", "every rank takes all", 0.01),
    Entry("D7", "epochs", "Every epoch has its own order, on all ranks.", "epoch missing from the seed", 0.01),
    Entry("D4", "worker-randomness", "Workers and epochs draw differently.", "default_rng(0) in __init__", 0.3),
    Entry("D5", "sharded", "Workers and ranks share a stream out.", "no get_worker_info", 0.2),
)

METRIC = (
    _LOADS,
    _INTERFACE,
    Entry("K1", "output", "The value is a number in its range.", "a ratio above 1"),
    Entry("K12", "inputs-untouched", "The inputs are not written to.", "target[mask] = 0"),
    Entry("K5", "perfect", "A perfect prediction scores best.", "argmin; threshold turned"),
    Entry("K14", "value", "The value is that of its definition.", "false negatives counted as positives", 0.01),
    Entry("K2", "accumulation", "Batches give what the whole gives.", "mean of batch means"),
    Entry("K3", "order-invariance", "The order of batches does not matter.", "state overwritten"),
    Entry("K4", "reset", "reset() forgets everything.", "one counter not reset"),
    Entry("K6", "compute-repeatable", "compute() only reads.", "compute() resets or divides in place"),
    Entry("K16", "batch-of-one", "Single samples work.", "squeeze()"),
    Entry("K8", "ignored-elements", "Ignored elements do not count.", "ignore_index not applied"),
    Entry("K11", "no-graph", "No graph is kept.", "losses.append(loss)"),
    Entry("K7", "empty", "Nothing seen is no crash.", "0 / 0"),
    Entry("K9", "merge", "Merged parts equal the union.", "mean of ratios"),
    Entry("K10", "ranks", "Ranks together equal the union.", "all_reduce of a ratio", 0.02),
    Entry("K13", "device", "Counters move with the module.", "a counter that is no buffer"),
)

OPTIMIZER = (
    _LOADS,
    _INTERFACE,
    Entry("O1", "descends", "It lowers a quadratic.", "a sign error", 0.02),
    Entry(
        "O2",
        "moves-what-it-should",
        "Only parameters with a gradient and a rate move.",
        "lr of the first group for all",
    ),
    Entry("O7", "weight-decay", "Decay shrinks, decoupled if named so.", "decay added to the gradient in AdamW"),
    Entry("O11", "reference", "It steps as torch's own of that name.", "no bias correction", 0.02),
    Entry("O3", "resume", "Saving and loading continues bit for bit.", "state kept outside self.state", 0.02),
    Entry("O4", "closure", "step(closure) evaluates and returns the loss.", "closure under no_grad"),
    Entry("O9", "state-clean", "State and parameters hold no graph.", "step without no_grad"),
    Entry(
        "O8", "parameters-count", "Every number in the constructor has an effect.", "a beta that is never used", 0.05
    ),
    Entry(
        "T7", "schedule", "Rates are finite, rise to the peak, never above it.", "warm-up off by one; two steps at once"
    ),
    Entry("T7b", "schedule-end", "The schedule ends at its minimum and stays there.", "cosine rises again"),
    Entry("T7c", "schedule-resume", "A restored schedule continues.", "a counter outside state_dict"),
    Entry("T7d", "schedule-groups", "Groups keep the ratio of their rates.", "one rate for all groups"),
    Entry("T8", "groups-complete", "Every trainable parameter is in exactly one group.", "biases forgotten"),
    Entry("T8b", "groups-decay", "Norms and biases do not decay.", "decay on norms"),
    Entry("T9", "ema-follows", "The average follows its formula.", "decay and 1 - decay exchanged"),
    Entry("T9b", "ema-buffers", "Buffers follow, integer ones are copied.", "buffers forgotten"),
    Entry("T9c", "ema-apart", "The average is a copy without a graph.", "the model itself is averaged"),
    Entry("T9d", "ema-resume", "Saving and loading continues the average.", "the counter is not saved"),
)

CHECKS: dict[str, tuple[Entry, ...]] = {
    "loss": LOSS,
    "model": MODEL,
    "dataset": DATASET,
    "metric": METRIC,
    "optimizer": OPTIMIZER,
}

CONTRACT = {
    "target": "name of the class or function to check",
    "init": 'constructor arguments: values, {"tensor": [...]}, {"expr": "python"} or a symbol of `sizes`',
    "inputs": 'name -> {shape: ["B", "C", "H", "W"], dtype, range: [low, end], values, ignore_index, role}',
    "sizes": "symbol -> size",
    "num_classes": "number of classes",
    "ignore_index": "label that takes no part",
    "reduction": "mean, sum or none",
    "output": 'shape of the output, or "logits" / "probabilities"',
    "initial_value": 'value at uniform logits: a number or "log(C)"',
    "at_init": '{value: "log(C)", given: {logits: zeros}}: the value for inputs of zeros or ones',
    "minimum": "value that a perfect prediction reaches",
    "stop_gradient": "true if a part is held constant on purpose",
    "stochastic": "true if it draws random numbers in eval mode",
    "causal": "whether positions may not see later ones",
    "unused_parameters": "prefixes of parameters that get no gradient on purpose",
    "parameters": "number of parameters",
    "range": "[low, high] of a metric",
    "higher_is_better": "whether a metric rises with quality",
    "total_steps": "length of a schedule",
    "warmup_steps": "length of its warm-up",
    "base_lr": "its peak",
    "min_lr": "its end",
    "collate_fn": "name of the collate function",
    "eval_init": "constructor arguments of the evaluation split",
    "samples_per_s": "samples that the training takes in a second",
    "files": "name -> text or {base64: ...} of files that the code reads, made in the work directory",
}
"""Every key that a contract may hold, and what it means."""
