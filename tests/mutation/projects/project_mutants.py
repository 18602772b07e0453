"""Seeded bugs: small patches that break one thing in a good training project, and the check that must see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One planted bug.

    Attributes:
        name: What is wrong.
        project: The good project, a directory beside the smoke tests.
        file: The file that is patched.
        edits: Pairs of the text that is replaced, which must occur exactly once, and its replacement.
        kills: The check that must fail: the name in the report.
    """

    name: str
    project: str
    file: str
    edits: tuple[tuple[str, str], ...]
    kills: str

    @property
    def check(self) -> str:
        """The check to ask for."""
        return self.kills.partition(".")[0]


def _of(project: str, default: str) -> Callable[..., Mutant]:
    def mutant(name: str, kills: str, *edits: tuple[str, str], file: str = default) -> Mutant:
        return Mutant(f"{project}: {name}", project, file, edits, kills)

    return mutant


_classifier = _of("classifier", "train.py")
_gpt = _of("gpt", "train.py")
_seg = _of("segmentation", "seg/train.py")
_ddp = _of("ddp", "main.py")

MUTANTS: list[Mutant] = [
    # -- a plain script -----
    _classifier("gradients never cleared", "one_batch.zero_grad", ("            optimizer.zero_grad()\n", "")),
    _classifier("softmax before cross_entropy", "overfit", ("self.drop(x))", "self.drop(x)).softmax(1)")),
    _classifier("probabilities for logits", "one_batch.targets", ("self.drop(x))", "self.drop(x)).softmax(1)")),
    _classifier("evaluation mode left on", "validation", ("        model.train()\n", "")),
    _classifier("no evaluation mode", "validation", ("    model.eval()\n", "")),
    _classifier("evaluation with graphs", "validation", ("@torch.no_grad()\n", "")),
    _classifier(
        "head frozen",
        "one_batch.gradients",
        ("    start, step = 0, 0\n", "    model.head.requires_grad_(False)\n    start, step = 0, 0\n"),
    ),
    _classifier("optimizer over the head only", "one_batch.optimizer", ("AdamW(model.param", "AdamW(model.head.param")),
    _classifier(
        "optimizer over another model", "one_batch.gradients", ("AdamW(model.", "AdamW(Net(args.width, args.dropout).")
    ),
    _classifier("scheduler never stepped", "scheduler", ("        scheduler.step()\n", "")),
    _classifier(
        "epoch scheduler stepped per batch",
        "scheduler",
        ("        scheduler.step()\n", ""),
        ("            step += 1\n", "            step += 1\n            scheduler.step()\n"),
    ),
    _classifier(
        "scheduler stepped before the optimizer",
        "scheduler",
        ("        scheduler.step()\n", ""),
        ("        model.train()\n", "        scheduler.step()\n        model.train()\n"),
    ),
    _classifier(
        "evaluation drops the last batch",
        "validation",
        ("args.samples // 2, 2), args.batch_size)", "args.samples // 2, 2), args.batch_size, drop_last=True)"),
    ),
    _classifier(
        "layers frozen as they were made",
        "one_batch.gradients",
        ("    start, step = 0, 0\n", "    model.body.requires_grad_(False)\n    start, step = 0, 0\n"),
    ),
    _classifier("random state not restored", "resume", ('        torch.set_rng_state(state["rng"])\n', "")),
    _classifier("scheduler not restored", "resume", ('        scheduler.load_state_dict(state["scheduler"])\n', "")),
    _classifier("optimizer not restored", "resume", ('        optimizer.load_state_dict(state["optimizer"])\n', "")),
    _classifier("weights not restored", "resume", ('        model.load_state_dict(state["model"])\n', "")),
    _classifier("resume flag ignored", "resume", ("    if args.resume:\n", "    if False:\n")),
    _classifier("epoch not restored", "resume", ('= state["epoch"], state["step"]', '= 0, state["step"]')),
    _classifier(
        "rotation deletes the newest checkpoint",
        "resume.kept",
        ('    os.replace(path + ".tmp", path)\n', '    os.replace(path + ".tmp", path)\n    os.remove(path)\n'),
    ),
    _classifier("label smoothing unused", "knobs", (", label_smoothing=args.label_smoothing", "")),
    _classifier("weight decay unused", "knobs", (", weight_decay=args.weight_decay", "")),
    _classifier("dropout unused", "knobs", ("nn.Dropout(dropout)", "nn.Dropout(0.1)")),
    _classifier("clip option unused", "knobs", ("parameters(), args.clip)", "parameters(), 1.0)")),
    _classifier(
        "evaluation with augmentation",
        "validation",
        ("Squares(args.samples // 2, 2)", "Squares(args.samples // 2, 2, True)"),
    ),
    _classifier(
        "list of losses keeps graphs",
        "memory",
        ("    start, step = 0, 0\n", "    start, step, history = 0, 0, []\n"),
        ("            step += 1\n", "            step += 1\n            history.append(loss)\n"),
    ),
    _classifier(
        "running total keeps graphs",
        "memory",
        ("    start, step = 0, 0\n", "    start, step, total = 0, 0, 0.0\n"),
        ("            step += 1\n", "            step += 1\n            total += loss\n"),
    ),
    _classifier(
        "clip after the step",
        "one_batch.clip",
        ("            norm = nn.utils.clip_grad_norm_(model.parameters(), args.clip)\n", ""),
        ("            if not torch.isfinite(norm)", "            if not torch.isfinite(loss)"),
        (
            "            step += 1\n",
            "            step += 1\n            norm = nn.utils.clip_grad_norm_(model.parameters(), args.clip)\n",
        ),
    ),
    _classifier(
        "metric averaged over batches",
        "validation",
        (', reduction="sum").item()', ").item()"),
        ("    return loss / count, ", "    return loss / len(loader), "),
    ),
    _classifier("seed ignored", "reproducible", ("    torch.manual_seed(args.seed)\n", "")),
    _classifier("seed constant", "reproducible.seeds", ("torch.manual_seed(args.seed)", "torch.manual_seed(0)")),
    _classifier(
        "same order in every epoch",
        "reproducible.order",
        ("        model.train()\n", "        model.train()\n        torch.manual_seed(args.seed)\n"),
    ),
    _classifier(
        "guard after the update",
        "nan_guard",
        (
            "            if not torch.isfinite(norm):\n",
            "            optimizer.step()\n            if not torch.isfinite(norm):\n",
        ),
    ),
    _classifier(
        "features detached", "one_batch.gradients", ("self.body(self.stem(x))", "self.body(self.stem(x)).detach()")
    ),
    _classifier(
        "step before backward",
        "one_batch.gradients",
        ("            loss.backward()\n", "            optimizer.step()\n            loss.backward()\n"),
        ('step {step}")\n            optimizer.step()\n', 'step {step}")\n'),
    ),
    _classifier("wrong rate logged", "logs", ('lr = optimizer.param_groups[0]["lr"]', "lr = args.lr * 3")),
    # -- in the manner of nanoGPT -----
    _gpt("no 1/k", "accumulation", ("            loss = loss / args.gradient_accumulation_steps\n", "")),
    _gpt("wrong divisor", "accumulation", ("loss / args.gradient", "loss / 2 / args.gradient")),
    _gpt("clip before unscale", "one_batch.clip", ("        scaler.unscale_(optimizer)\n", "")),
    _gpt("rate never applied", "knobs", ('        group["lr"] = lr\n', "        pass\n")),
    _gpt("scaler not restored", "resume", ('    scaler.load_state_dict(checkpoint["scaler"])\n', "")),
    _gpt("random state not restored", "resume", ("    torch.set_rng_state(checkpoint", "    print(checkpoint")),
    _gpt("iteration not restored", "resume", ('= checkpoint["iter_num"], check', "= 0, check")),
    _gpt("no DDP", "torchrun.parameters", ("    model = DDP(model)\n", "    pass\n")),
    _gpt(
        "collective on rank 0 only",
        "torchrun.ends",
        ("        rng = rng_states()\n", ""),
        (
            "            losses = estimate_loss()\n",
            "            rng = rng_states()\n            losses = estimate_loss()\n",
        ),
    ),
    _gpt("gradients never cleared", "one_batch.zero_grad", ("    optimizer.zero_grad(set_to_none=True)\n", "")),
    _gpt(
        "every rank draws the same data", "torchrun.data", ("manual_seed(args.seed + rank)", "manual_seed(args.seed)")
    ),
    _gpt(
        "every rank writes",
        "torchrun.writes",
        ("        rng = rng_states()\n        if master_process:\n", "        rng = rng_states()\n        if True:\n"),
    ),
    _gpt("evaluation mode left on", "validation", ("    raw_model.train()\n", "")),
    _gpt(
        "reads the loss in every micro-batch",
        "syncs",
        ("        scaler.scale(loss)", "        running = loss.item()\n        scaler.scale(loss)"),
    ),
    _gpt("biases in no optimizer", "one_batch.optimizer", ('{"params": no_decay, "weight_decay": 0.0}', "")),
    _gpt("dropout unused", "knobs", (", dropout=args.dropout)", ")")),
    _gpt(
        "warm-up unused",
        "knobs",
        ("if it < args.warmup_iters:", "if it < 0:"),
        ("(it - args.warmup_iters)", "it"),
        ("max(1, args.max_iters - args.warmup_iters)", "args.max_iters"),
    ),
    _gpt(
        "positions without gradient",
        "one_batch.gradients",
        ("+ self.positions(", "+ 0 * self.positions("),
        file="model.py",
    ),
    _gpt("targets not shifted", "one_batch.targets", ("source[i + 1 : i + 1 +", "source[i : i +")),
    _gpt("the worst counts as best", "validation.best", ("= min(best_val_loss,", "= max(best_val_loss,")),
    _gpt(
        "seeded by the clock",
        "reproducible",
        ("torch.manual_seed(args.seed + rank)", "torch.manual_seed(time.time_ns())"),
    ),
    _gpt(
        "evaluation disturbs training",
        "resume",
        ('    torch.set_rng_state(checkpoint["rng"][rank % len(checkpoint["rng"])].cpu())\n', ""),
    ),
    # -- segmentation with a loss, averaged weights and accumulation of its own -----
    _seg(
        "last window divided by k",
        "accumulation",
        ("window = min(k, self.per_epoch - self.batch // k * k)", "window = k"),
    ),
    _seg(
        "dice not wired in",
        "one_batch.losses",
        ('"total": ce + self.dice_weight * dice,', '"total": ce,'),
        file="seg/losses.py",
    ),
    _seg(
        "dice detached",
        "one_batch.losses",
        ("self.dice_weight * dice,", "self.dice_weight * dice.detach(),"),
        file="seg/losses.py",
    ),
    _seg(
        "dice of detached logits",
        "one_batch.losses",
        ("dice = dice_loss(logits, mask", "dice = dice_loss(logits.detach(), mask"),
        file="seg/losses.py",
    ),
    _seg("averages never updated", "ema", ("        self.ema.update(self.model)\n", "")),
    _seg(
        "averages without buffers",
        "ema",
        ("source = model.state_dict()", "source = dict(model.named_parameters())"),
        ("self.module.state_dict().items()", "self.module.named_parameters()"),
        file="seg/model.py",
    ),
    _seg(
        "averages alias the model",
        "ema",
        ("copy.deepcopy(model).eval().requires_grad_(False)", "model"),
        file="seg/model.py",
    ),
    _seg(
        "scheduler per micro-batch",
        "scheduler",
        ("        self.scheduler.step()\n", ""),
        ("            self.batch += 1\n", "            self.batch += 1\n            self.scheduler.step()\n"),
    ),
    _seg(
        "scheduler stepped twice",
        "scheduler",
        ("        self.scheduler.step()\n", "        self.scheduler.step()\n        self.scheduler.step()\n"),
    ),
    _seg(
        "clip before unscale",
        "one_batch.clip",
        ("        self.scaler.unscale_(self.optimizer)\n", ""),
        (
            "        self.scaler.step(self.optimizer)\n",
            "        self.scaler.unscale_(self.optimizer)\n        self.scaler.step(self.optimizer)\n",
        ),
    ),
    _seg("averages not restored", "resume", ('        self.ema.module.load_state_dict(state["ema"])\n', "")),
    _seg("scaler not restored", "resume", ('        self.scaler.load_state_dict(state["scaler"])\n', "")),
    _seg(
        "python's random state not restored",
        "resume",
        ('        random.setstate((3, tuple(state["python_rng"]), None))\n', ""),
    ),
    _seg(
        "position in the epoch not restored",
        "resume",
        ("self.epoch, self.batch, self.step = state", "self.epoch, _, self.step = state"),
    ),
    _seg("scheduler not restored", "resume", ('        self.scheduler.load_state_dict(state["scheduler"])\n', "")),
    _seg(
        "checkpoint written in place",
        "resume.interrupted",
        ('self.out / "last.tmp")\n', 'self.out / "last.pt")\n'),
        ('        (self.out / "last.tmp").replace(self.out / "last.pt")\n', ""),
    ),
    _seg(
        "SIGTERM ends without saving",
        "resume.sigterm",
        ('["save_every"] == 0 or self.stopped:', '["save_every"] == 0:'),
    ),
    _seg("goes on after SIGTERM", "resume.sigterm", ("            raise SystemExit(143)\n", "            pass\n")),
    _seg("momentum unused", "knobs", ('momentum=optim["momentum"]', "momentum=0.9")),
    _seg("weight of a loss unused", "knobs", ('SegLoss(cfg["loss"]["dice_weight"], ignore)', "SegLoss(0.5, ignore)")),
    _seg(
        "decay of averages unused", "knobs", ('ModelEma(self.model, optim["ema_decay"])', "ModelEma(self.model, 0.9)")
    ),
    _seg("evaluation with augmentation", "validation", ("seed=2, training=False", "seed=2, training=True")),
    _seg("evaluation on training samples", "validation", ("seed=2, training=False", "seed=1, training=False")),
    _seg(
        "evaluation in training mode", "validation", (".eval().requires_grad_", ".requires_grad_"), file="seg/model.py"
    ),
    _seg(
        "list of losses keeps graphs",
        "memory",
        (
            "        self.step += 1\n",
            '        self.step += 1\n        self.__dict__.setdefault("seen", []).append(losses)\n',
        ),
    ),
    _seg(
        "reads the loss in every micro-batch",
        "syncs",
        ("            self.batch += 1\n", '            self.batch += 1\n            self.last = losses["ce"].item()\n'),
    ),
    _seg(
        "gradients never cleared", "one_batch.zero_grad", ("        self.optimizer.zero_grad(set_to_none=True)\n", "")
    ),
    _seg("the worst counts as best", "validation.best", ("= max(self.best,", "= min(self.best,")),
    _seg("flips unseeded", "reproducible", ('        random.seed(cfg["seed"])\n', "")),
    # -- DDP -----
    _ddp("no set_epoch", "torchrun.epochs", ("        self.sampler.set_epoch(self.epoch)\n", "")),
    _ddp(
        "no DDP",
        "torchrun.parameters",
        ("DistributedDataParallel(self.net) if world_size > 1 else self.net", "self.net"),
        ("self.world_size > 1 and not last", "False"),
    ),
    _ddp(
        "forward pass around DDP",
        "torchrun.parameters",
        ("self.criterion(self.model(x), y) / k", "self.criterion(self.net(x), y) / k"),
    ),
    _ddp(
        "every rank saves",
        "torchrun.writes",
        ("        if self.rank == 0:\n            state", "        if True:\n            state"),
    ),
    _ddp(
        "sampler without the rank",
        "torchrun.data",
        ("DistributedSampler(train, world_size, rank,", "DistributedSampler(train, 1, 0,"),
    ),
    _ddp(
        "evaluation on rank 0 only",
        "torchrun.ends",
        ("loss = self.evaluate()", "loss = self.evaluate() if self.rank == 0 else 0.0"),
    ),
    _ddp(
        "gradients never synchronized",
        "torchrun.parameters",
        ("self.world_size > 1 and not last", "self.world_size > 1"),
    ),
    _ddp(
        "gradients summed by hand",
        "world_size",
        ("DistributedDataParallel(self.net) if world_size > 1 else self.net", "self.net"),
        ("self.world_size > 1 and not last", "False"),
        (
            "            if last:\n",
            "            if last:\n                for p in self.net.parameters():\n"
            "                    self.world_size > 1 and dist.all_reduce(p.grad)\n",
        ),
    ),
    _ddp(
        "uneven shards",
        "uneven",
        (
            "DistributedSampler(train, world_size, rank, shuffle=True, seed=args.seed)",
            "list(range(rank, len(train), world_size))",
        ),
        ("        self.sampler.set_epoch(self.epoch)\n", ""),
        ("drop_last=True", "drop_last=False"),
        ("usable = len(self.train_loader) // k * k", "usable = len(self.train_loader)"),
        ("last = (i + 1) % k == 0", "last = (i + 1) % k == 0 or i + 1 == usable"),
    ),
    _ddp(
        "exceptions swallowed",
        "crash",
        (
            "                self.optimizer.step()\n",
            "                try:\n                    self.optimizer.step()\n"
            "                except RuntimeError:\n                    pass\n",
        ),
    ),
    _ddp(
        "barrier after a failure",
        "crash",
        (
            "            dist.destroy_process_group()\n",
            "            dist.barrier()\n            dist.destroy_process_group()\n",
        ),
    ),
    _ddp(
        "exit status 0 after a failure",
        "crash",
        ("    finally:\n", "    except Exception as error:\n        print(error)\n        os._exit(0)\n    finally:\n"),
    ),
    _ddp("no 1/k", "accumulation", ("self.criterion(self.model(x), y) / k", "self.criterion(self.model(x), y)")),
    _ddp(
        "no 1/k beside a term of that weight",
        "accumulation",
        ("self.model(x), y) / k", "self.model(x), y) + 0.5 * self.net[2].weight.pow(2).mean()"),
    ),
    _ddp(
        "one cycle stepped per epoch",
        "scheduler",
        ("ExponentialLR(self.optimizer, args.gamma)", "OneCycleLR(self.optimizer, args.lr, 6 * args.epochs)"),
    ),
    _ddp(
        "scheduler per micro-batch",
        "scheduler",
        ("        self.scheduler.step()\n", ""),
        (
            "                loss.backward()\n",
            "                loss.backward()\n                self.scheduler.step()\n",
        ),
    ),
    _ddp("gamma unused", "knobs", ("ExponentialLR(self.optimizer, args.gamma)", "ExponentialLR(self.optimizer, 0.7)")),
    _ddp("epoch not restored", "resume", ('        self.epoch = state["epoch"]\n', "")),
    _ddp("optimizer not restored", "resume", ('        self.optimizer.load_state_dict(state["optimizer"])\n', "")),
    _ddp(
        "weights of no rank agree",
        "torchrun.parameters",
        ("        torch.manual_seed(args.seed)\n", "        torch.manual_seed(args.seed + rank)\n"),
        ("DistributedDataParallel(self.net) if world_size > 1 else self.net", "self.net"),
        ("self.world_size > 1 and not last", "False"),
    ),
    _ddp(
        "loss divided by the world size",
        "world_size",
        ("self.criterion(self.model(x), y) / k", "self.criterion(self.model(x), y) / k / self.world_size"),
    ),
]
