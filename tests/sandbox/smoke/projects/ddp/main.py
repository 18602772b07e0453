"""Regress a random teacher with DDP: torchrun --standalone --nproc_per_node=2 main.py (or python main.py)."""

import argparse
import contextlib
import os

import torch
import torch.distributed as dist
import torch.nn as nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def get_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--gamma", type=float, default=0.7)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--checkpoint", default="checkpoint.pt")
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def make_data(size, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 6, generator=g)
    return TensorDataset(x, x[:, :1] * x[:, 1:2] + 0.5 * x[:, 2:3])


class Loop:
    def __init__(self, args, rank, world_size):
        self.args, self.rank, self.world_size = args, rank, world_size
        torch.manual_seed(args.seed)
        train, val = make_data(96, 0), make_data(41, 1)
        self.sampler = DistributedSampler(train, world_size, rank, shuffle=True, seed=args.seed)
        self.train_loader = DataLoader(train, args.batch_size, sampler=self.sampler, drop_last=True)
        self.val_loader = DataLoader(torch.utils.data.Subset(val, range(rank, len(val), world_size)), args.batch_size)
        self.net = nn.Sequential(nn.Linear(6, args.hidden), nn.Tanh(), nn.Linear(args.hidden, 1))
        self.model = DistributedDataParallel(self.net) if world_size > 1 else self.net
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=args.lr, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, args.gamma)
        self.criterion = nn.MSELoss()
        self.epoch = 0

    def train_one_epoch(self):
        self.sampler.set_epoch(self.epoch)
        self.model.train()
        k = self.args.accumulate
        usable = len(self.train_loader) // k * k
        self.optimizer.zero_grad()
        for i, (x, y) in enumerate(self.train_loader):
            if i == usable:
                break
            last = (i + 1) % k == 0
            quiet = self.model.no_sync() if self.world_size > 1 and not last else contextlib.nullcontext()
            with quiet:
                loss = self.criterion(self.model(x), y) / k
                loss.backward()
            if last:
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.scheduler.step()

    @torch.no_grad()
    def evaluate(self):
        self.net.eval()
        sums = torch.zeros(2)
        for x, y in self.val_loader:
            sums += torch.tensor([self.criterion(self.net(x), y) * len(x), float(len(x))])
        if self.world_size > 1:
            dist.all_reduce(sums)
        self.net.train()
        return (sums[0] / sums[1]).item()

    def save(self):
        if self.rank == 0:
            state = {
                "net": self.net.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "epoch": self.epoch,
            }
            torch.save(state, self.args.checkpoint + ".new")
            os.replace(self.args.checkpoint + ".new", self.args.checkpoint)

    def load(self):
        state = torch.load(self.args.checkpoint, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.epoch = state["epoch"]

    def run(self):
        if self.args.resume:
            self.load()
        while self.epoch < self.args.epochs:
            self.train_one_epoch()
            self.epoch += 1
            loss = self.evaluate()
            if self.rank == 0:
                print(f"epoch {self.epoch}: validation loss {loss:.5f}, lr {self.scheduler.get_last_lr()[0]:.4g}")
            self.save()


def main():
    args = get_args()
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    if world_size > 1:
        dist.init_process_group(backend="nccl" if torch.cuda.is_available() else "gloo")
    try:
        Loop(args, int(os.environ.get("RANK", 0)), world_size).run()
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
