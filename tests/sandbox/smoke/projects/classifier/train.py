"""Train a small CNN on coloured squares: python train.py --epochs 3."""

import argparse
import json
import math
import os
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Squares(Dataset):
    """Noisy images with a bright square in one of four corners; the corner is the class."""

    def __init__(self, size, seed, augment=False):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 4, (size,), generator=g)
        self.images = torch.rand(size, 3, 16, 16, generator=g)
        for image, label in zip(self.images, self.labels):
            y, x = divmod(int(label), 2)
            image[:, y * 8 : y * 8 + 8, x * 8 : x * 8 + 8] += 1.0
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index]
        if self.augment:
            image = image * (0.8 + 0.4 * torch.rand(1))
        return image, self.labels[index]


class Net(nn.Module):
    def __init__(self, width, dropout):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.body = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()
        )
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width * 4, 4)

    def forward(self, x):
        x = self.body(self.stem(x))
        x = F.adaptive_avg_pool2d(x, 2).flatten(1)
        return self.head(self.drop(x))


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    loss, correct, count = 0.0, 0, 0
    for images, labels in loader:
        logits = model(images)
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(1) == labels).sum().item()
        count += len(labels)
    return loss / count, correct / count


def save(path, **state):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--label-smoothing", type=float, default=0.05)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=4)
    parser.add_argument("--out", default="out")
    parser.add_argument("--resume", default="")
    args = parser.parse_args()

    random.seed(args.seed)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)
    train = DataLoader(Squares(args.samples, 1, augment=True), args.batch_size, shuffle=True)
    val = DataLoader(Squares(args.samples // 2, 2), args.batch_size)
    model = Net(args.width, args.dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)
    start, step = 0, 0
    if args.resume:
        state = torch.load(args.resume, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["rng"])
        start, step = state["epoch"], state["step"]

    log = open(os.path.join(args.out, "log.jsonl"), "a")
    for epoch in range(start, args.epochs):
        model.train()
        for images, labels in train:
            logits = model(images)
            loss = F.cross_entropy(logits, labels, label_smoothing=args.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            if not torch.isfinite(norm):
                raise FloatingPointError(f"gradient norm is {norm} at step {step}")
            optimizer.step()
            step += 1
            if step % args.log_every == 0:
                lr = optimizer.param_groups[0]["lr"]
                record = {"step": step, "epoch": epoch, "loss": loss.item(), "lr": lr, "grad_norm": norm.item()}
                log.write(json.dumps(record) + "\n")
        scheduler.step()
        val_loss, accuracy = evaluate(model, val)
        assert math.isfinite(val_loss)
        log.write(json.dumps({"step": step, "epoch": epoch, "val_loss": val_loss, "val_accuracy": accuracy}) + "\n")
        log.flush()
        print(f"epoch {epoch}: val loss {val_loss:.4f}, accuracy {accuracy:.3f}")
        save(
            os.path.join(args.out, "last.pt"),
            model=model.state_dict(),
            optimizer=optimizer.state_dict(),
            scheduler=scheduler.state_dict(),
            rng=torch.get_rng_state(),
            epoch=epoch + 1,
            step=step,
        )
    log.close()


if __name__ == "__main__":
    main()
