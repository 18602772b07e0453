"""Faults as different people write them: the rule that must see each of them, and the code."""

FAULTY = [
    (
        "double-softmax",
        """
import torch, torch.nn as nn, torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(784, n)
        self.act = nn.Softmax(dim=-1)

    def forward(self, x):
        return self.act(self.fc(x.flatten(1)))


def train_epoch(net, dl, opt, dev):
    crit = nn.CrossEntropyLoss()
    net.train()
    for xb, yb in dl:
        xb, yb = xb.to(dev), yb.to(dev)
        opt.zero_grad(set_to_none=True)
        crit(net(xb), yb).backward()
        opt.step()
""",
    ),
    (
        "sigmoid-before-logits",
        """
import torch
from torch import nn


def step(model, batch, optim):
    probs = torch.sigmoid(model(batch["image"]))
    loss = nn.functional.binary_cross_entropy_with_logits(probs, batch["mask"].float())
    optim.zero_grad()
    loss.backward()
    optim.step()
    return loss.item()
""",
    ),
    (
        "missing-zero-grad",
        """
import torch


def fit(model, loader, optimizer, criterion, epochs):
    for epoch in range(epochs):
        model.train()
        for inputs, labels in loader:
            outputs = model(inputs.cuda())
            loss = criterion(outputs, labels.cuda())
            loss.backward()
            optimizer.step()
""",
    ),
    (
        "zero-grad-before-step",
        """
import torch


def fit(model, loader, optimizer, criterion):
    for inputs, labels in loader:
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
""",
    ),
    (
        "eval-mode-missing",
        """
import torch


@torch.no_grad()
def validate(model, loader, device):
    correct = total = 0
    for x, y in loader:
        pred = model(x.to(device)).argmax(1).cpu()
        correct += (pred == y).sum().item()
        total += y.numel()
    return correct / total


def train(model, train_loader, val_loader, opt, crit, device, epochs):
    for e in range(epochs):
        model.train()
        for x, y in train_loader:
            opt.zero_grad()
            crit(model(x.to(device)), y.to(device)).backward()
            opt.step()
        print(e, validate(model, val_loader, device))
""",
    ),
    (
        "eval-mode-left-on",
        """
import torch


def train(model, train_loader, val_loader, opt, crit, epochs):
    model.train()
    for e in range(epochs):
        for x, y in train_loader:
            opt.zero_grad()
            crit(model(x), y).backward()
            opt.step()
        model.eval()
        with torch.no_grad():
            acc = sum((model(x).argmax(1) == y).float().mean().item() for x, y in val_loader) / len(
                val_loader
            )
        print(e, acc)
""",
    ),
    (
        "graph-kept",
        """
def run(model, dl, opt, crit):
    total = 0.0
    for x, y in dl:
        opt.zero_grad()
        l = crit(model(x), y)
        l.backward()
        opt.step()
        total += l
    return total / len(dl)
""",
    ),
    (
        "accumulation-not-averaged",
        """
def run(model, dl, opt, crit, accum=4):
    opt.zero_grad()
    for i, (x, y) in enumerate(dl):
        loss = crit(model(x), y)
        loss.backward()
        if (i + 1) % accum == 0:
            opt.step()
            opt.zero_grad()
""",
    ),
    (
        "accumulation-tail-dropped",
        """
def run(model, dl, opt, crit, accum=4):
    for epoch in range(3):
        for i, (x, y) in enumerate(dl):
            loss = crit(model(x), y) / accum
            loss.backward()
            if (i + 1) % accum == 0:
                opt.step()
                opt.zero_grad()
""",
    ),
    (
        "clip-scaled-gradients",
        """
import torch


def run(model, dl, opt, crit):
    scaler = torch.amp.GradScaler("cuda")
    for x, y in dl:
        opt.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = crit(model(x), y)
        scaler.scale(loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
""",
    ),
    (
        "scaler-never-updated",
        """
import torch


def run(model, dl, opt, crit):
    scaler = torch.amp.GradScaler("cuda")
    for x, y in dl:
        opt.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = crit(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(opt)
""",
    ),
    (
        "scaler-bypassed",
        """
import torch


def run(model, dl, opt, crit):
    scaler = torch.amp.GradScaler("cuda")
    for x, y in dl:
        opt.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = crit(model(x), y)
        scaler.scale(loss).backward()
        opt.step()
        scaler.update()
""",
    ),
    (
        "clip-out-of-place",
        """
import torch


def run(model, dl, opt, crit):
    for x, y in dl:
        opt.zero_grad()
        crit(model(x), y).backward()
        opt.step()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
""",
    ),
    (
        "scheduler-before-optimizer",
        """
def run(model, dl, opt, sched, crit):
    for x, y in dl:
        opt.zero_grad()
        crit(model(x), y).backward()
        sched.step()
        opt.step()
""",
    ),
    (
        "sampler-without-epoch",
        """
import torch
from torch.utils.data import DataLoader, DistributedSampler


def main(ds, model, opt, crit, epochs):
    sampler = DistributedSampler(ds, shuffle=True)
    loader = DataLoader(ds, batch_size=32, sampler=sampler)
    for epoch in range(epochs):
        for x, y in loader:
            opt.zero_grad()
            crit(model(x), y).backward()
            opt.step()
""",
    ),
    (
        "modules-in-plain-list",
        """
from torch import nn


class MLP(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.layers = [nn.Linear(a, b) for a, b in zip(dims[:-1], dims[1:])]

    def forward(self, x):
        for l in self.layers:
            x = l(x).relu()
        return x
""",
    ),
    (
        "collective-on-one-rank",
        """
import torch, torch.distributed as dist


def log_metrics(loss, rank):
    if rank == 0:
        dist.all_reduce(loss)
        print("loss", loss.item() / dist.get_world_size())
""",
    ),
    (
        "incomplete-checkpoint",
        """
import torch


def save(model, opt, epoch, path):
    torch.save({"model": model.state_dict(), "epoch": epoch}, path)


def main(model, opt, sched, scaler, dl, crit, epochs, resume):
    start = 0
    if resume:
        c = torch.load(resume, weights_only=True)
        model.load_state_dict(c["model"])
        start = c["epoch"] + 1
    for ep in range(start, epochs):
        for x, y in dl:
            opt.zero_grad()
            crit(model(x), y).backward()
            opt.step()
        sched.step()
        save(model, opt, ep, "last.pt")
""",
    ),
    (
        "mean-over-mask",
        """
import torch.nn.functional as F


def token_loss(logits, labels, mask):
    loss = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    loss = loss * mask
    return loss.mean()
""",
    ),
    (
        "loss-not-wired",
        """
import torch.nn.functional as F


def training_step(model, batch, cfg):
    out = model(batch["x"])
    loss_cls = F.cross_entropy(out["logits"], batch["y"])
    loss_aux = cfg.aux_weight * F.mse_loss(out["recon"], batch["x"])
    loss = loss_cls
    return loss
""",
    ),
    (
        "normalized-over-batch",
        """
import torch
import torch.nn.functional as F


def contrastive(z1, z2, t=0.1):
    z1 = F.normalize(z1, dim=0)
    z2 = F.normalize(z2, dim=0)
    logits = z1 @ z2.t() / t
    return F.cross_entropy(logits, torch.arange(len(z1), device=z1.device))
""",
    ),
    (
        "probabilities-to-nll",
        """
import torch.nn.functional as F


def distill(student_logits, teacher_logits, T):
    return (
        F.kl_div(
            F.softmax(student_logits / T, -1),
            F.softmax(teacher_logits / T, -1),
            reduction="batchmean",
        )
        * T
        * T
    )
""",
    ),
    (
        "kl-div-mean",
        """
import torch.nn.functional as F


def distill(student_logits, teacher_logits, T):
    p = F.log_softmax(student_logits / T, dim=-1)
    q = F.softmax(teacher_logits / T, dim=-1)
    return F.kl_div(p, q) * (T**2)
""",
    ),
    (
        "zero-times-log",
        """
import torch


def entropy(p):
    return -(p * torch.log(p)).sum(dim=-1).mean()
""",
    ),
    (
        "augmented-validation",
        """
import torch
from torchvision import datasets, transforms

tf = transforms.Compose(
    [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
)
train_set = datasets.ImageFolder("train", transform=tf)
val_set = datasets.ImageFolder("val", transform=tf)
""",
    ),
    (
        "layer-after-optimizer",
        """
import torch
from torch import nn


def build(n):
    model = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10))
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    model[2] = nn.Linear(10, n)
    return model, opt
""",
    ),
    (
        "no-such-switch",
        """
import torch


def build(model):
    for p in model.backbone.parameters():
        p.require_grad = False
    return torch.optim.SGD(model.parameters(), lr=0.1)
""",
    ),
    (
        "targets-not-shifted",
        """
import torch, torch.nn.functional as F


def lm_loss(model, ids):
    logits = model(ids)
    return F.cross_entropy(logits.view(-1, logits.size(-1)), ids.view(-1))
""",
    ),
    (
        "heads-by-view",
        """
import torch
import torch.nn as nn


class Attn(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h = h
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.qkv(x).chunk(3, -1)
        q = q.view(B, self.h, T, D // self.h)
        k = k.view(B, self.h, T, D // self.h)
        v = v.view(B, self.h, T, D // self.h)
        a = (q @ k.transpose(-2, -1)) / (D // self.h) ** 0.5
        y = a.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(B, T, D))
""",
    ),
    (
        "softmax-over-queries",
        """
import torch


def attention(q, k, v):
    w = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=1)
    return w @ v
""",
    ),
    (
        "rate-in-lambda",
        """
import torch


def build(model, steps):
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: 1e-3 * min(1, s / 100))
    return opt, sched
""",
    ),
    (
        "schedule-in-other-units",
        """
import torch


def main(model, dl, crit, epochs):
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sched = torch.optim.lr_scheduler.OneCycleLR(
        opt, max_lr=0.1, steps_per_epoch=len(dl), epochs=epochs
    )
    for e in range(epochs):
        for x, y in dl:
            opt.zero_grad()
            crit(model(x), y).backward()
            opt.step()
        sched.step()
""",
    ),
    (
        "copy-is-trained",
        """
import torch


def teacher_student(student, teacher, x, crit):
    t = teacher(x)
    s = student(x)
    return crit(s, t)


def loop(student, teacher, dl, crit):
    opt = torch.optim.Adam(list(student.parameters()) + list(teacher.parameters()))
    for x in dl:
        opt.zero_grad()
        teacher_student(student, teacher, x, crit).backward()
        opt.step()
""",
    ),
    (
        "generator-loss-detached",
        """
import torch


def g_step(G, D, opt_g, bce, z):
    opt_g.zero_grad()
    g_loss = bce(D(G(z).detach()), torch.ones(len(z), 1))
    g_loss.backward()
    opt_g.step()
""",
    ),
    (
        "union-may-be-empty",
        """
import numpy as np


def miou(pred, gt, n):
    ious = []
    for c in range(n):
        inter = ((pred == c) & (gt == c)).sum()
        union = ((pred == c) | (gt == c)).sum()
        ious.append(inter / union)
    return np.mean(ious)
""",
    ),
    (
        "mean-of-batch-means",
        """
import torch


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    accs = []
    for x, y in loader:
        accs.append((model(x).argmax(1) == y).float().mean().item())
    return sum(accs) / len(accs)
""",
    ),
    (
        "dropout-always-on",
        """
import torch.nn as nn, torch.nn.functional as F


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        return F.dropout(self.a(x), 0.5)
""",
    ),
    (
        "ddp-bypassed",
        """
import torch
from torch.nn.parallel import DistributedDataParallel as DDP


def setup(model, rank):
    ddp = DDP(model.to(rank), device_ids=[rank])
    opt = torch.optim.AdamW(ddp.parameters())
    return ddp, opt


def train(model, ddp, dl, opt, crit):
    for x, y in dl:
        opt.zero_grad()
        loss = crit(ddp.module(x), y)
        loss.backward()
        opt.step()
""",
    ),
    (
        "fp16-without-scaler",
        """
import torch


def train(model, dl, opt, crit):
    for x, y in dl:
        opt.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = crit(model(x.cuda()), y.cuda())
        loss.backward()
        opt.step()
""",
    ),
    (
        "log-of-softmax",
        """
import torch


def nll(logits, y):
    p = torch.softmax(logits, dim=1)
    return -torch.log(p[torch.arange(len(y)), y]).mean()
""",
    ),
    (
        "padding-mask-inverted",
        """
import torch, torch.nn as nn


class E(nn.Module):
    def __init__(self, v, d):
        super().__init__()
        self.emb = nn.Embedding(v, d, padding_idx=0)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 4, batch_first=True), 2)

    def forward(self, ids):
        mask = ids != 0
        return self.enc(self.emb(ids), src_key_padding_mask=mask)
""",
    ),
    (
        "last-step-of-wrong-axis",
        """
import torch, torch.nn as nn


class L(nn.Module):
    def __init__(self, d, h, c):
        super().__init__()
        self.rnn = nn.LSTM(d, h)
        self.fc = nn.Linear(h, c)

    def forward(self, x):  # x: (batch, time, d)
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])
""",
    ),
    (
        "parameter-rebound",
        """
import torch


def perturb(model, s):
    for p in model.parameters():
        p = p + s * torch.randn_like(p)
""",
    ),
    (
        "trained-without-graph",
        """
import torch


def loss_fn(pred, y, w):
    a = torch.tensor(((pred - y) ** 2).mean().item(), requires_grad=True)
    return a * w
""",
    ),
    (
        "missing-zero-grad",
        """
import torch


def run(net, loader, optim, loss_fn, epochs):
    for ep in range(epochs):
        optim.zero_grad()
        for img, lab in loader:
            loss = loss_fn(net(img), lab)
            loss.backward()
            optim.step()
""",
    ),
    (
        "double-softmax",
        """
import torch, lightning as L
import torch.nn.functional as F


class Lit(L.LightningModule):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return F.softmax(self.net(x), dim=1)

    def training_step(self, batch, i):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())
""",
    ),
    (
        "step-returns-nothing",
        """
import torch, lightning as L
import torch.nn.functional as F


class Lit(L.LightningModule):
    def training_step(self, batch, i):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train/loss", loss)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())
""",
    ),
    (
        "schedule-once-an-epoch",
        """
import torch, lightning as L


class Lit(L.LightningModule):
    def configure_optimizers(self):
        opt = torch.optim.AdamW(self.parameters(), lr=1e-3)
        sch = torch.optim.lr_scheduler.OneCycleLR(
            opt, 1e-3, total_steps=self.trainer.estimated_stepping_batches
        )
        return [opt], [sch]
""",
    ),
    (
        "backward-by-hand",
        """
import torch, lightning as L


class GAN(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, i):
        g, d = self.optimizers()
        loss = self.g_loss(batch)
        g.zero_grad()
        loss.backward()
        g.step()
""",
    ),
    (
        "eval-mode-left-on",
        """
import torch


class Trainer:
    def __init__(self, model, opt, loss_fn, train_dl, val_dl):
        self.model, self.opt, self.loss_fn, self.train_dl, self.val_dl = (
            model,
            opt,
            loss_fn,
            train_dl,
            val_dl,
        )
        self.model.train()

    def fit(self, n):
        for e in range(n):
            for x, y in self.train_dl:
                self.opt.zero_grad()
                l = self.loss_fn(self.model(x), y)
                l.backward()
                self.opt.step()
            self.validate()

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        return sum(self.loss_fn(self.model(x), y).item() for x, y in self.val_dl)
""",
    ),
    (
        "graph-kept",
        """
import torch


def fit(model, dl, opt, crit):
    history = []
    for x, y in dl:
        opt.zero_grad()
        loss = crit(model(x), y)
        loss.backward()
        opt.step()
        history.append(loss)
    return history
""",
    ),
    (
        "sigmoid-before-logits",
        """
import torch
import torch.nn as nn

model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
opt = torch.optim.Adam(model.parameters())
crit = nn.BCEWithLogitsLoss()


def go(dl):
    for x, y in dl:
        opt.zero_grad()
        crit(model(x), y).backward()
        opt.step()
""",
    ),
    (
        "nll-of-logits",
        """
import torch.nn as nn, torch.nn.functional as F


class C(nn.Module):
    def __init__(self, d, c):
        super().__init__()
        self.l = nn.Linear(d, c)

    def forward(self, x):
        return self.l(x)


def loss(model, x, y):
    return F.nll_loss(model(x), y)
""",
    ),
    (
        "argmax-in-loss",
        """
import torch, torch.nn.functional as F


def step(model, opt, x, y):
    opt.zero_grad()
    pred = torch.argmax(model(x), dim=1)
    loss = F.l1_loss(pred.float(), y.float())
    loss.requires_grad = True
    loss.backward()
    opt.step()
""",
    ),
    (
        "scheduler-every-micro-batch",
        """
import torch


def loop(model, loader, optimizer, scheduler, criterion, accumulation_steps):
    model.train()
    optimizer.zero_grad()
    for idx, batch in enumerate(loader):
        out = model(batch["x"])
        loss = criterion(out, batch["y"]) / accumulation_steps
        loss.backward()
        scheduler.step()
        if (idx + 1) % accumulation_steps == 0 or idx + 1 == len(loader):
            optimizer.step()
            optimizer.zero_grad()
""",
    ),
    (
        "scaler-bypassed",
        """
import torch


def loop(model, loader, optimizer, criterion):
    scaler = torch.amp.GradScaler()
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.float16):
            out = model(x)
        loss = criterion(out, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scaler.update()
""",
    ),
    (
        "accumulation-tail-dropped",
        """
import torch


def loop(model, loader, optimizer, criterion, k):
    scaler = torch.amp.GradScaler()
    for i, (x, y) in enumerate(loader):
        with torch.autocast("cuda", torch.float16):
            loss = criterion(model(x), y) / k
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        if (i + 1) % k == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
""",
    ),
    (
        "average-before-step",
        """
import torch


def loop(model, ema, loader, opt, crit):
    for x, y in loader:
        opt.zero_grad()
        loss = crit(model(x), y)
        loss.backward()
        ema.update(model)
        opt.step()
""",
    ),
    (
        "parameter-rebound",
        """
import copy, torch


class Trainer:
    def __init__(self, net):
        self.net = net
        self.ema = copy.deepcopy(net)

    def update(self, m=0.99):
        for p, q in zip(self.ema.parameters(), self.net.parameters()):
            p = m * p + (1 - m) * q
""",
    ),
    (
        "collective-on-one-rank",
        """
import torch.distributed as dist


def prepare(path):
    if dist.get_rank() == 0:
        download(path)
        dist.barrier()
""",
    ),
    (
        "collective-on-one-rank",
        """
import torch.distributed as dist


def gather(x, rank):
    if rank != 0:
        return None
    out = [x.clone() for _ in range(dist.get_world_size())]
    dist.all_gather(out, x)
    return out
""",
    ),
    (
        "gathered-without-gradient",
        """
import torch, torch.distributed as dist, torch.nn.functional as F


def clip_loss(img, txt, scale):
    bufs = [torch.zeros_like(txt) for _ in range(dist.get_world_size())]
    dist.all_gather(bufs, txt)
    all_txt = torch.cat(bufs)
    logits = scale * img @ all_txt.t()
    tgt = torch.arange(len(img)) + dist.get_rank() * len(img)
    return F.cross_entropy(logits, tgt)
""",
    ),
    (
        "eval-mode-missing",
        """
import torch


def predict(path, net_cls, x):
    net = net_cls()
    net.load_state_dict(torch.load(path, weights_only=True))
    with torch.no_grad():
        return net(x).softmax(-1)
""",
    ),
    (
        "tensor-not-registered",
        """
import torch
from torch import nn


class Prompt(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.tokens = torch.randn(n, d)

    def forward(self, x):
        return torch.cat([self.tokens.expand(len(x), -1, -1), x], 1)
""",
    ),
    (
        "parameter-moved",
        """
import torch
from torch import nn


class Prompt(nn.Module):
    def __init__(self, n, d, device):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(n, d)).to(device)

    def forward(self, x):
        return x + self.tokens
""",
    ),
    (
        "part-never-used",
        """
import torch
from torch import nn


class ViT(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.pos = nn.Parameter(torch.zeros(1, n, d))
        self.blocks = nn.Sequential(nn.Linear(d, d))
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        x = self.blocks(x)
        return self.head(x.mean(1))
""",
    ),
    (
        "part-never-used",
        """
import torch.nn as nn


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(c)

    def forward(self, x):
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn1(self.conv2(out))
        return (x + out).relu()
""",
    ),
    (
        "part-never-used",
        """
import torch.nn as nn


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.f1 = nn.Linear(8, 16)
        self.f2 = nn.Linear(16, 16)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(16, 2)

    def forward(self, x):
        x = self.f1(x).relu()
        x = self.drop(x)
        return self.out(x)
""",
    ),
    (
        "targets-not-shifted",
        """
import torch
from torch.utils.data import Dataset


class Win(Dataset):
    def __init__(self, data, block):
        self.data, self.block = data, block

    def __len__(self):
        return len(self.data) // self.block

    def __getitem__(self, i):
        x = self.data[i : i + self.block]
        y = self.data[i : i + self.block]
        return x, y
""",
    ),
    (
        "augmented-apart",
        """
import random
import torchvision.transforms.functional as TF


def augment(image, mask):
    if random.random() > 0.5:
        image = TF.hflip(image)
    if random.random() > 0.5:
        image = TF.vflip(image)
        mask = TF.vflip(mask)
    return image, mask
""",
    ),
    (
        "augmented-apart",
        """
import torchvision.transforms as T


class Pair:
    def __init__(self):
        self.aug = T.Compose([T.RandomHorizontalFlip(), T.RandomCrop(256)])

    def __call__(self, img, mask):
        return self.aug(img), self.aug(mask)
""",
    ),
    (
        "fit-before-split",
        """
from sklearn.preprocessing import StandardScaler


def prep(train, test):
    s = StandardScaler()
    a = s.fit_transform(train)
    b = s.fit_transform(test)
    return a, b
""",
    ),
    (
        "mean-of-batch-means",
        """
import torch
from sklearn.metrics import f1_score


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    s = 0
    for x, y in loader:
        s += f1_score(y, model(x).argmax(1), average="macro")
    return s / len(loader)
""",
    ),
    (
        "mean-of-batch-means",
        """
import torch


@torch.no_grad()
def ppl(model, loader, crit):
    model.eval()
    out = []
    for x, y in loader:
        out.append(torch.exp(crit(model(x).transpose(1, 2), y)))
    return torch.stack(out).mean()
""",
    ),
    (
        "parameters-left-out",
        """
import torch


def groups(model):
    decay, no_decay = [], []
    for n, p in model.named_parameters():
        if p.ndim < 2:
            no_decay.append(p)
        else:
            decay.append(p)
    return torch.optim.AdamW([{"params": decay}], lr=1e-3, weight_decay=0.1)
""",
    ),
    (
        "frozen-is-optimized",
        """
import torch


def train(backbone, head, dl, crit):
    for p in backbone.parameters():
        p.requires_grad_(False)
    opt = torch.optim.SGD(backbone.parameters(), lr=0.1)
    for x, y in dl:
        opt.zero_grad()
        crit(head(backbone(x)), y).backward()
        opt.step()
""",
    ),
    (
        "fraction-in-integers",
        """
import torch


def lr_at(step, warmup, total, base):
    if step < warmup:
        return base * (step // warmup)
    return base * (1 - (step - warmup) / (total - warmup))
""",
    ),
    (
        "divergence-is-negative",
        """
import torch, torch.nn.functional as F


def vae_loss(x, recon, mu, logvar):
    rec = F.mse_loss(recon, x, reduction="sum")
    kl = 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return rec + kl
""",
    ),
    (
        "policy-descends",
        """
import torch


def reinforce(logp, returns):
    loss = (logp * returns).mean()
    return loss
""",
    ),
    (
        "score-as-loss",
        """
import torch


class DiceLoss(torch.nn.Module):
    def forward(self, p, t):
        p = p.sigmoid()
        i = (p * t).sum()
        return 2 * i / (p.sum() + t.sum() + 1e-6)
""",
    ),
    (
        "score-as-loss",
        """
import torch.nn.functional as F


def align_loss(a, b):
    return F.cosine_similarity(a, b).mean()
""",
    ),
    (
        "loss-not-wired",
        """
import torch.nn.functional as F


def compute_losses(out, batch, w):
    losses = {}
    losses["ce"] = F.cross_entropy(out["logits"], batch["y"])
    losses["bnd"] = F.binary_cross_entropy_with_logits(out["edge"], batch["edge"])
    return losses


def train_step(model, batch, opt, w):
    opt.zero_grad()
    losses = compute_losses(model(batch["x"]), batch, w)
    loss = losses["ce"]
    loss.backward()
    opt.step()
    return {k: v.item() for k, v in losses.items()}
""",
    ),
    (
        "loss-not-wired",
        """
import torch


class Trainer:
    def train_one_epoch(self):
        for imgs, masks in self.loader:
            logits, aux = self.model(imgs)
            main = self.ce(logits, masks)
            aux_l = self.ce(aux, masks)
            total = main
            self.optimizer.zero_grad()
            total.backward()
            self.optimizer.step()
            self.writer.add_scalar("aux", aux_l.item(), self.step)
""",
    ),
    (
        "loss-not-wired",
        """
import torch


def step(model, x, y, ce, reg, opt, lam):
    out = model(x)
    loss = ce(out, y)
    loss_reg = lam * reg(model)
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item() + loss_reg.item()
""",
    ),
    (
        "item-in-loss",
        """
import torch


def step(model, x, y, ce, dice, opt):
    out = model(x)
    ce_loss = ce(out, y)
    dice_loss = dice(out, y)
    total_loss = ce_loss + 0.5 * dice_loss.detach()
    opt.zero_grad()
    total_loss.backward()
    opt.step()
""",
    ),
    (
        "double-softmax",
        """
import torch
from torch import nn


class Head(nn.Module):
    def __init__(self, d, c):
        super().__init__()
        self.fc = nn.Linear(d, c)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        logits = self.fc(x)
        return self.softmax(logits)


class Model(nn.Module):
    def __init__(self, d, c):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, d), nn.ReLU())
        self.head = Head(d, c)

    def forward(self, x):
        return self.head(self.body(x))


def main(dl):
    m = Model(8, 3)
    ce = nn.CrossEntropyLoss()
    opt = torch.optim.SGD(m.parameters(), lr=0.1)
    for x, y in dl:
        p = m(x)
        loss = ce(p, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
""",
    ),
    (
        "double-softmax",
        """
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 4), nn.LogSoftmax(-1))
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x, y):
        return self.loss(self.net(x), y)
""",
    ),
    (
        "double-softmax",
        """
import torch, torch.nn.functional as F


def focal(logits, y, gamma=2.0):
    p = F.softmax(logits, dim=1)
    ce = F.cross_entropy(p, y, reduction="none")
    pt = p.gather(1, y[:, None])[:, 0]
    return ((1 - pt) ** gamma * ce).mean()
""",
    ),
    (
        "clip-scaled-gradients",
        """
import torch


class T:
    def step(self, x, y):
        self.opt.zero_grad()
        with torch.cuda.amp.autocast():
            loss = self.crit(self.net(x), y)
        self.scaler.scale(loss).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.max_norm)
        self.scaler.unscale_(self.opt)
        self.scaler.step(self.opt)
        self.scaler.update()
""",
    ),
    (
        "clip-out-of-place",
        """
import torch


class T:
    def step(self, x, y):
        self.opt.zero_grad()
        loss = self.crit(self.net(x), y)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        loss.backward()
        self.opt.step()
""",
    ),
    (
        "zero-grad-before-step",
        """
class T:
    def step(self, batch):
        loss = self.compute_loss(batch)
        loss.backward()
        self.optimizer.zero_grad()
        self.optimizer.step()
        return loss.detach()
""",
    ),
    (
        "eval-mode-missing",
        """
import torch


class T:
    def train(self):
        self.model.train()
        for e in range(self.epochs):
            for x, y in self.dl:
                self.opt.zero_grad()
                self.crit(self.model(x), y).backward()
                self.opt.step()
            self.evaluate()

    @torch.no_grad()
    def evaluate(self):
        hits = 0
        for x, y in self.val_dl:
            hits += (self.model(x).argmax(1) == y).sum()
        print(hits / len(self.val_dl.dataset))
""",
    ),
    (
        "mean-over-mask",
        """
import torch


def seq_loss(logp, tgt, mask):
    nll = -logp.gather(-1, tgt.unsqueeze(-1)).squeeze(-1)
    nll = nll * mask.float()
    return torch.mean(nll)
""",
    ),
    (
        "mean-over-mask",
        """
import torch


def pool(h, attention_mask):
    h = h * attention_mask.unsqueeze(-1)
    return h.mean(dim=1)
""",
    ),
    (
        "mean-over-mask",
        """
import torch.nn.functional as F


def loss(pred, tgt, valid):
    l = F.l1_loss(pred, tgt, reduction="none")
    return (l * valid).sum() / l.numel()
""",
    ),
    (
        "collective-behind-one-rank",
        """
import torch, torch.distributed as dist


def reduce_mean(t):
    t = t.clone()
    dist.all_reduce(t)
    return t / dist.get_world_size()


def train(model, dl, opt, crit, rank):
    for i, (x, y) in enumerate(dl):
        opt.zero_grad()
        loss = crit(model(x), y)
        loss.backward()
        opt.step()
        if i % 50 == 0 and rank == 0:
            print(reduce_mean(loss.detach()).item())
""",
    ),
    (
        "collective-behind-one-rank",
        """
import torch.distributed as dist


def evaluate(model, dl):
    tot = 0
    for x, y in dl:
        tot += (model(x).argmax(1) == y).sum()
    dist.all_reduce(tot)
    return tot


def main(model, dl, val):
    is_main = dist.get_rank() == 0
    if is_main:
        evaluate(model, val)
""",
    ),
    (
        "incomplete-checkpoint",
        """
import torch


class T:
    def save(self):
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "epoch": self.epoch,
            },
            "c.pt",
        )

    def load(self):
        c = torch.load("c.pt")
        self.model.load_state_dict(c["model"])
        self.optimizer.load_state_dict(c["optimizer"])
        self.epoch = c["epoch"]

    def train(self):
        for self.epoch in range(self.epoch, 10):
            for x, y in self.dl:
                self.optimizer.zero_grad()
                with torch.autocast("cuda", torch.float16):
                    loss = self.crit(self.model(x), y)
                self.scaler.scale(loss).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()
                self.lr_scheduler.step()
            self.save()
""",
    ),
    (
        "saved-never-restored",
        """
import torch


def resume(path, model, opt, sched):
    ck = torch.load(path, map_location="cpu")
    model.load_state_dict(ck["model"])
    sched.load_state_dict(ck["scheduler"])
    return ck["epoch"]


def save(path, model, opt, sched, epoch):
    torch.save(
        {
            "model": model.state_dict(),
            "optimizer": opt.state_dict(),
            "scheduler": sched.state_dict(),
            "epoch": epoch,
        },
        path,
    )
""",
    ),
    (
        "incomplete-checkpoint",
        """
import torch
from torch.optim.swa_utils import AveragedModel


def main(model, opt, dl, crit):
    ema = AveragedModel(model)
    for x, y in dl:
        opt.zero_grad()
        crit(model(x), y).backward()
        opt.step()
        ema.update_parameters(model)
    torch.save({"model": model.state_dict(), "optimizer": opt.state_dict()}, "last.pt")
""",
    ),
    (
        "option-never-read",
        """
from dataclasses import dataclass
import torch


@dataclass
class Config:
    lr: float = 1e-3
    epochs: int = 10
    label_smoothing: float = 0.1
    grad_clip: float = 1.0


def main(cfg: Config, model, dl):
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr)
    crit = torch.nn.CrossEntropyLoss(label_smoothing=cfg.label_smoothing)
    for _ in range(cfg.epochs):
        for x, y in dl:
            opt.zero_grad()
            crit(model(x), y).backward()
            opt.step()


if __name__ == "__main__":
    main(Config(), None, [])
""",
    ),
    (
        "option-never-read",
        """
import click, torch


@click.command()
@click.option("--lr", default=1e-3)
@click.option("--weight-decay", default=0.1)
def main(lr, weight_decay):
    model = torch.nn.Linear(2, 2)
    opt = torch.optim.AdamW(model.parameters(), lr=lr)
    opt.step()
""",
    ),
    (
        "option-never-read",
        """
import torch


def train(model, dl, lr=1e-3, weight_decay=0.05, clip=1.0, epochs=3):
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    for _ in range(epochs):
        for x, y in dl:
            opt.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            opt.step()
""",
    ),
    (
        "option-never-read",
        """
import argparse, torch


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--batch_size", type=int, default=32)
    a = p.parse_args()
    model = torch.nn.Linear(2, 2)
    lr = 1e-3
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    dl = torch.utils.data.DataLoader([0], batch_size=a.batch_size)
""",
    ),
    (
        "bool-of-text",
        """
import argparse

p = argparse.ArgumentParser()
p.add_argument("--use_amp", type=bool, default=False)
args = p.parse_args()
print(args.use_amp)
""",
    ),
    (
        "accumulation-not-averaged",
        """
import torch


def train(model, dl, opt, k):
    opt.zero_grad()
    for i, b in enumerate(dl):
        loss = model(**b).loss
        loss.backward()
        if i % k == k - 1:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad()
""",
    ),
    (
        "accumulation-tail-dropped",
        """
def train(model, dl, opt, crit, k):
    opt.zero_grad()
    for i, (x, y) in enumerate(dl):
        (crit(model(x), y) / k).backward()
        if i % k == 0:
            opt.step()
            opt.zero_grad()
""",
    ),
    (
        "skipped-by-one-rank",
        """
import torch
from torch.nn.parallel import DistributedDataParallel as DDP


def train(model, dl, opt, crit):
    model = DDP(model)
    for x, y in dl:
        loss = crit(model(x), y)
        if torch.isnan(loss):
            continue
        opt.zero_grad()
        loss.backward()
        opt.step()
""",
    ),
    (
        "padding-is-learned",
        """
def collate(batch, tok):
    enc = tok([b["text"] for b in batch], padding=True, return_tensors="pt")
    enc["labels"] = enc["input_ids"].clone()
    return enc
""",
    ),
    (
        "plateau-direction",
        """
import torch


def fit(model, opt, dl, crit, epochs):
    sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, "max")
    for e in range(epochs):
        tot = 0.0
        for x, y in dl:
            opt.zero_grad()
            loss = crit(model(x), y)
            loss.backward()
            opt.step()
            tot += loss.item()
        val_loss = tot / len(dl)
        sched.step(val_loss)
""",
    ),
    (
        "wrong-best",
        """
def fit(model, train_epoch, validate):
    best = 0.0
    for e in range(10):
        train_epoch(model)
        val_loss = validate(model)
        if val_loss > best:
            best = val_loss
            save(model)
""",
    ),
    (
        "best-out-of-reach",
        """
def fit(model, train_epoch, validate):
    best_acc = float("inf")
    for e in range(10):
        train_epoch(model)
        acc = validate(model)
        if acc > best_acc:
            best_acc = acc
            save(model)
""",
    ),
    (
        "sigmoid-before-logits",
        """
import torch.nn as nn


class Tagger(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(d, 64), nn.GELU(), nn.Linear(64, n), nn.Sigmoid())

    def forward(self, feats):
        return self.mlp(feats)


def run(loader, d, n, opt_cls):
    tagger = Tagger(d, n)
    optimizer = opt_cls(tagger.parameters())
    loss_fn = nn.BCEWithLogitsLoss()
    for feats, tags in loader:
        optimizer.zero_grad()
        loss = loss_fn(tagger(feats), tags.float())
        loss.backward()
        optimizer.step()
""",
    ),
    (
        "last-step-of-wrong-axis",
        """
import torch.nn as nn


class Cls(nn.Module):
    def __init__(self, vocab, dim, classes):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.gru = nn.GRU(dim, dim, num_layers=2)
        self.out = nn.Linear(dim, classes)

    def forward(self, tokens):
        h, _ = self.gru(self.embed(tokens))
        last = h[:, -1, :]
        return self.out(last)
""",
    ),
    (
        "causal-mask-inverted",
        """
import torch, torch.nn as nn


class Blk(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.attn = nn.MultiheadAttention(d, 4, batch_first=True)

    def forward(self, x):
        n = x.size(1)
        m = torch.tril(torch.ones(n, n, device=x.device)).bool()
        out, _ = self.attn(x, x, x, attn_mask=m)
        return x + out
""",
    ),
    (
        "softmax-over-queries",
        """
import torch


def attn(q, k, v):
    s = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.size(-1) ** 0.5
    return torch.einsum("bhqk,bhkd->bhqd", s.softmax(dim=2), v)
""",
    ),
    (
        "scaled-by-width",
        """
import torch


def attn(q, k, v):
    s = q @ k.transpose(-1, -2) / q.size(-1)
    return s.softmax(-1) @ v
""",
    ),
    (
        "fraction-in-integers",
        """
import torch


def sinusoid(n, d):
    pos = torch.arange(n)[:, None]
    i = torch.arange(0, d, 2)
    ang = pos / 10000 ** (i // d)
    return torch.cat([ang.sin(), ang.cos()], -1)
""",
    ),
    (
        "method-not-called",
        """
import torch


def train(model, dl, crit):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        for x, y in dl:
            out = model(x)
            loss = crit(out, y)
            loss.backward(retain_graph=True)
            optimizer.step()
            optimizer.zero_grad
""",
    ),
    (
        "never-shuffled",
        """
from torch.utils.data import DataLoader


def loaders(train_ds, test_ds):
    trainloader = DataLoader(train_ds, batch_size=64, num_workers=4)
    testloader = DataLoader(test_ds, batch_size=64, shuffle=True)
    return trainloader, testloader
""",
    ),
    (
        "logarithm-as-target",
        """
import torch, torch.nn.functional as F


def distill(student, teacher, dl, opt, T=4.0):
    student.train()
    teacher.train()
    for x, y in dl:
        with torch.no_grad():
            t = teacher(x)
        s = student(x)
        loss = F.kl_div(F.log_softmax(s / T, 1), F.log_softmax(t / T, 1), reduction="batchmean")
        opt.zero_grad()
        loss.backward()
        opt.step()
""",
    ),
    (
        "margin-turned-round",
        """
import torch


def triplet(a, p, n, m=0.2):
    dp = (a - p).pow(2).sum(1)
    dn = (a - n).pow(2).sum(1)
    return torch.relu(dn - dp + m).mean()
""",
    ),
    (
        "penalty-without-graph",
        """
import torch


def gp(D, real, fake):
    a = torch.rand(real.size(0), 1, 1, 1)
    x = (a * real + (1 - a) * fake).requires_grad_(True)
    g = torch.autograd.grad(D(x).sum(), x)[0]
    return ((g.flatten(1).norm(2, 1) - 1) ** 2).mean()
""",
    ),
    (
        "copy-is-alias",
        """
import torch


class DQN:
    def __init__(self, q):
        self.q = q
        self.q_target = q

    def loss(self, s, a, r, s2, d, gamma=0.99):
        y = r + gamma * self.q_target(s2).max(1)[0] * (1 - d)
        return ((self.q(s).gather(1, a) - y) ** 2).mean()
""",
    ),
    (
        "future-where-it-ended",
        """
import torch, torch.nn.functional as F


def td_loss(q, q_target, s, a, r, s2, done, gamma):
    target = r + gamma * q_target(s2).max(1).values * done
    return F.smooth_l1_loss(q(s).gather(1, a).squeeze(1), target)
""",
    ),
    (
        "mixed-with-itself",
        """
import torch


def mixup(x, y, crit, model, lam):
    idx = torch.randperm(len(x))
    xm = lam * x + (1 - lam) * x[idx]
    out = model(xm)
    return lam * crit(out, y) + (1 - lam) * crit(out, y)
""",
    ),
    (
        "parameter-moved",
        """
import torch


class M(torch.nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(d, d)).cuda()
        self.scale = torch.ones(1, requires_grad=True)

    def forward(self, x):
        return x @ self.w * self.scale
""",
    ),
    (
        "modules-in-plain-list",
        """
import torch
from torch.nn.utils.rnn import pack_padded_sequence


class E(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = {}
        for i in range(3):
            self.layers[str(i)] = torch.nn.Linear(8, 8)

    def forward(self, x):
        for l in self.layers.values():
            x = l(x)
        return x
""",
    ),
    (
        "eval-mode-missing",
        """
import torch


def main(model, tr, va, opt, lossf):
    for ep in range(5):
        model.train()
        for b in tr:
            opt.zero_grad()
            lossf(model(b["x"]), b["y"]).backward()
            opt.step()
        with torch.no_grad():
            vl = 0
            for b in va:
                vl += lossf(model(b["x"]), b["y"]).item()
        print(ep, vl / len(va))
""",
    ),
    (
        "metric-never-reset",
        """
import torchmetrics


def main(model, loaders):
    acc = torchmetrics.Accuracy("multiclass", num_classes=10)
    for epoch in range(5):
        model.eval()
        for x, y in loaders["val"]:
            acc.update(model(x).argmax(1), y)
        print(epoch, acc.compute())
""",
    ),
    (
        "clip-scaled-gradients",
        """
import torch


def step(model, scaler, opt, x, y, crit):
    with torch.autocast("cuda", dtype=torch.float16):
        loss = crit(model(x), y)
    scaler.scale(loss).backward()
    for p in model.parameters():
        if p.grad is not None:
            p.grad.clamp_(-1, 1)
    scaler.step(opt)
    scaler.update()
    opt.zero_grad()
""",
    ),
    (
        "no-such-switch",
        """
import math


def adjust(optimizer, step, total, lr):
    new = lr * 0.5 * (1 + math.cos(math.pi * step / total))
    optimizer.lr = new
""",
    ),
    (
        "unseeded-split",
        """
import torch


def split(ds):
    n = int(0.9 * len(ds))
    tr, va = torch.utils.data.random_split(ds, [n, len(ds) - n])
    return tr, va
""",
    ),
]
