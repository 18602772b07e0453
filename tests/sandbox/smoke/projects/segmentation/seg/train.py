"""python -m seg.train config.yaml [--resume]"""

import json
import random
import signal
import sys
from pathlib import Path

import torch
import yaml
from torch.utils.data import DataLoader

from seg.data import Blobs
from seg.losses import SegLoss
from seg.model import ModelEma, UNet


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        random.seed(cfg["seed"])
        torch.manual_seed(cfg["seed"])
        data, optim = cfg["data"], cfg["optim"]
        common = (cfg["model"]["classes"],)
        ignore = cfg["loss"]["ignore_index"]
        self.train_set = Blobs(data["samples"], data["size"], *common, seed=1, training=True, ignore_index=ignore)
        val_set = Blobs(data["samples"] // 3, data["size"], *common, seed=2, training=False, ignore_index=ignore)
        self.val_loader = DataLoader(val_set, data["batch_size"])
        self.model = UNet(cfg["model"]["width"], cfg["model"]["classes"], cfg["model"]["dropout"])
        self.ema = ModelEma(self.model, optim["ema_decay"])
        self.criterion = SegLoss(cfg["loss"]["dice_weight"], ignore)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), optim["lr"], momentum=optim["momentum"], weight_decay=optim["weight_decay"]
        )
        self.per_epoch = -(-data["samples"] // data["batch_size"])
        self.windows = -(-self.per_epoch // optim["accumulate"])
        total = self.windows * cfg["train"]["epochs"]
        warmup = optim["warmup_steps"]
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda s: min((s + 1) / (warmup + 1), max(0.0, 1 - s / total))
        )
        self.scaler = torch.amp.GradScaler("cuda", enabled=cfg["train"]["amp"])
        self.out = Path(cfg["train"]["out"])
        self.out.mkdir(parents=True, exist_ok=True)
        self.epoch = self.batch = self.step = 0
        self.stopped = False
        signal.signal(signal.SIGTERM, self.stop)
        self.best = 0.0

    def batches(self):
        """The rest of this epoch: its order depends on the epoch alone, so a resumed run can skip what was seen."""
        g = torch.Generator().manual_seed(self.cfg["seed"] * 1000 + self.epoch)
        order = torch.randperm(len(self.train_set), generator=g).tolist()
        size = self.cfg["data"]["batch_size"]
        groups = [order[i : i + size] for i in range(0, len(order), size)][self.batch :]
        # An own generator: a loader draws its base seed from the global one, which a resumed run would do once more.
        return DataLoader(self.train_set, batch_sampler=groups, generator=g)

    def fit(self):
        while self.epoch < self.cfg["train"]["epochs"]:
            self.train_epoch()
            self.epoch, self.batch = self.epoch + 1, 0
            metrics = self.validate()
            self.best = max(self.best, metrics["accuracy"])
            self.log({"step": self.step, "epoch": self.epoch, **{f"val_{k}": v for k, v in metrics.items()}})

    def train_epoch(self):
        k = self.cfg["optim"]["accumulate"]
        self.model.train()
        for batch in self.batches():
            window = min(k, self.per_epoch - self.batch // k * k)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.cfg["train"]["amp"]):
                logits = self.model(batch["image"])
            losses = self.criterion(logits, batch["mask"])
            self.scaler.scale(losses["total"] / window).backward()
            self.batch += 1
            if self.batch % k == 0 or self.batch == self.per_epoch:
                self.update(losses)

    def update(self, losses):
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg["optim"]["clip_norm"])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.model)
        self.step += 1
        if self.step % self.cfg["train"]["log_every"] == 0:
            values = {f"loss_{name}": value.item() for name, value in losses.items()}
            lr = self.optimizer.param_groups[0]["lr"]
            self.log({"step": self.step, "epoch": self.epoch, **values, "lr": lr, "grad_norm": norm.item()})
        self.scheduler.step()
        if self.step % self.cfg["train"]["save_every"] == 0 or self.stopped:
            self.save()
        if self.stopped:
            raise SystemExit(143)

    def stop(self, *_):
        self.stopped = True

    @torch.no_grad()
    def validate(self):
        right = total = 0
        loss = 0.0
        for batch in self.val_loader:
            logits = self.ema.module(batch["image"])
            valid = batch["mask"] != self.cfg["loss"]["ignore_index"]
            right += int((logits.argmax(1) == batch["mask"])[valid].sum())
            total += int(valid.sum())
            loss += self.criterion(logits, batch["mask"])["ce"].item() * int(valid.sum())
        return {"accuracy": right / total, "loss": loss / total}

    def log(self, record):
        with open(self.out / "log.jsonl", "a") as file:
            file.write(json.dumps(record) + "\n")

    def state(self):
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "position": [self.epoch, self.batch, self.step],
            "best": self.best,
            "torch_rng": torch.get_rng_state(),
            "python_rng": list(random.getstate()[1]),
        }

    def save(self):
        torch.save(self.state(), self.out / "last.tmp")
        (self.out / "last.tmp").replace(self.out / "last.pt")

    def resume(self):
        state = torch.load(self.out / "last.pt", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.batch, self.step = state["position"]
        self.best = state["best"]
        torch.set_rng_state(state["torch_rng"])
        random.setstate((3, tuple(state["python_rng"]), None))


def main():
    trainer = Trainer(yaml.safe_load(Path(sys.argv[1]).read_text()))
    if "--resume" in sys.argv[2:]:
        trainer.resume()
    trainer.fit()


if __name__ == "__main__":
    main()
