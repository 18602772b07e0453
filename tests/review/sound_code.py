"""Code without a fault, close to what the rules look for: none may say anything."""

SOUND = [
    """
import math, torch
from torch import nn
import torch.nn.functional as F


class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.n_head = config.n_head
        self.n_embd = config.n_embd
        self.register_buffer(
            "bias",
            torch.tril(torch.ones(config.block_size, config.block_size)).view(
                1, 1, config.block_size, config.block_size
            ),
        )

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        att = F.softmax(att, dim=-1)
        y = att @ v
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.c_proj(y)
""",
    """
import torch
from torch import nn


class A(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h, self.hd = h, d // h
        self.q_proj = nn.Linear(d, d)
        self.k_proj = nn.Linear(d, d)
        self.v_proj = nn.Linear(d, d)
        self.o = nn.Linear(d, d)

    def _shape(self, t, L, b):
        return t.view(b, L, self.h, self.hd).transpose(1, 2).contiguous()

    def forward(self, x):
        b, L, d = x.size()
        q = self._shape(self.q_proj(x), L, b).view(b * self.h, L, self.hd)
        k = self._shape(self.k_proj(x), L, b).view(b * self.h, L, self.hd)
        v = self._shape(self.v_proj(x), L, b).view(b * self.h, L, self.hd)
        w = torch.bmm(q, k.transpose(1, 2))
        w = nn.functional.softmax(w, dim=-1)
        o = torch.bmm(w, v).view(b, self.h, L, self.hd).transpose(1, 2).reshape(b, L, d)
        return self.o(o)
""",
    """
import torch
from torch import nn


class DiceLoss(nn.Module):
    def forward(self, p, t):
        p = p.softmax(1)
        num = 2 * (p * t).sum((0, 2, 3))
        den = p.sum((0, 2, 3)) + t.sum((0, 2, 3))
        dice = (num + 1) / (den + 1)
        return 1 - dice.mean()


def dice_score(p, t):
    return 2 * (p * t).sum() / (p.sum() + t.sum() + 1e-7)


def tversky_loss(p, t):
    tp = (p * t).sum()
    return (1 - tp / (p.sum() + t.sum())).mean()
""",
    """
import torch, torch.nn.functional as F


def nt_xent(z1, z2, temperature=0.5):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    sim = z @ z.t() / temperature
    n = z1.size(0)
    mask = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    sim = sim.masked_fill(mask, float("-inf"))
    target = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(sim, target)
""",
    """
import torch, torch.nn.functional as F


def barlow_loss(z1, z2, lam=5e-3):
    z1 = (z1 - z1.mean(0)) / z1.std(0)
    z2 = (z2 - z2.mean(0)) / z2.std(0)
    c = z1.T @ z2 / len(z1)
    eye = torch.eye(c.size(0), device=c.device)
    d = (c - eye).pow(2)
    return torch.where(eye.bool(), d, lam * d).sum()
""",
    """
import torch, torch.nn.functional as F


def reparam(mu, logvar):
    std = (0.5 * logvar).exp()
    return mu + std * torch.randn_like(std)


def vae_loss(x, recon, mu, logvar, beta=1.0):
    rec = F.binary_cross_entropy_with_logits(recon, x, reduction="sum") / len(x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / len(x)
    return rec + beta * kl
""",
    """
import torch


def d_step(G, D, real, z, opt_d, bce):
    opt_d.zero_grad(set_to_none=True)
    fake = G(z).detach()
    d_loss = bce(D(real), torch.ones(len(real), 1)) + bce(D(fake), torch.zeros(len(z), 1))
    d_loss.backward()
    opt_d.step()
    return d_loss.item()


def g_step(G, D, z, opt_g, bce):
    opt_g.zero_grad(set_to_none=True)
    g_loss = bce(D(G(z)), torch.ones(len(z), 1))
    g_loss.backward()
    opt_g.step()
    return g_loss.item()
""",
    """
import torch


def ppo_loss(logp, old_logp, adv, clip=0.2):
    ratio = (logp - old_logp).exp()
    a = ratio * adv
    b = ratio.clamp(1 - clip, 1 + clip) * adv
    policy_loss = -torch.min(a, b).mean()
    return policy_loss


def pg(logp, adv):
    loss = -(logp * adv).mean()
    return loss
""",
    """
import copy, random
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader


def set_seed(s):
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


class Trainer:
    def __init__(self, model, train_set, val_set, cfg):
        set_seed(cfg.seed)
        self.model = model.to(cfg.device)
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        self.train_loader = DataLoader(
            train_set, cfg.bs, shuffle=True, drop_last=True, num_workers=4
        )
        self.val_loader = DataLoader(val_set, cfg.bs, num_workers=4)
        decay = [p for p in model.parameters() if p.ndim > 1]
        rest = [p for p in model.parameters() if p.ndim <= 1]
        self.opt = torch.optim.AdamW(
            [{"params": decay, "weight_decay": cfg.wd}, {"params": rest, "weight_decay": 0.0}],
            lr=cfg.lr,
        )
        total = cfg.epochs * len(self.train_loader)
        self.sched = torch.optim.lr_scheduler.LambdaLR(
            self.opt, lambda s: min(1.0, (s + 1) / cfg.warmup) * max(0.0, 1 - s / total)
        )
        self.crit = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.cfg = cfg

    def fit(self):
        best = 0.0
        for epoch in range(self.cfg.epochs):
            self.model.train()
            running = 0.0
            for x, y in self.train_loader:
                x, y = x.to(self.cfg.device), y.to(self.cfg.device)
                self.opt.zero_grad(set_to_none=True)
                loss = self.crit(self.model(x), y)
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.opt.step()
                self.sched.step()
                self.update_ema()
                running += loss.item() * len(x)
            acc = self.validate()
            if acc > best:
                best = acc
                torch.save(
                    {
                        "model": self.model.state_dict(),
                        "ema": self.ema.state_dict(),
                        "opt": self.opt.state_dict(),
                        "sched": self.sched.state_dict(),
                        "epoch": epoch,
                    },
                    "best.pt",
                )

    @torch.no_grad()
    def update_ema(self, d=0.999):
        for a, b in zip(self.ema.state_dict().values(), self.model.state_dict().values()):
            if a.is_floating_point():
                a.lerp_(b, 1 - d)
            else:
                a.copy_(b)

    @torch.no_grad()
    def validate(self):
        self.ema.eval()
        hits = n = 0
        for x, y in self.val_loader:
            hits += (self.ema(x.to(self.cfg.device)).argmax(1).cpu() == y).sum().item()
            n += len(y)
        return hits / n
""",
    """
import torch
from torch import nn


class LoRA(nn.Module):
    def __init__(self, base, r=8, alpha=16):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad_(False)
        self.a = nn.Linear(base.in_features, r, bias=False)
        self.b = nn.Linear(r, base.out_features, bias=False)
        nn.init.zeros_(self.b.weight)
        self.scale = alpha / r

    def forward(self, x):
        return self.base(x) + self.scale * self.b(self.a(x))


def optim(model):
    return torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4)
""",
    """
import torch, torch.nn.functional as F


def get_batch(data, bs, T):
    ix = torch.randint(len(data) - T - 1, (bs,))
    x = torch.stack([data[i : i + T] for i in ix])
    y = torch.stack([data[i + 1 : i + 1 + T] for i in ix])
    return x, y


def lm_loss(model, ids, pad):
    logits = model(ids[:, :-1])
    return F.cross_entropy(
        logits.reshape(-1, logits.size(-1)), ids[:, 1:].reshape(-1), ignore_index=pad
    )


def hf_loss(logits, labels):
    shift_logits = logits[..., :-1, :].contiguous()
    shift_labels = labels[..., 1:].contiguous()
    return F.cross_entropy(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))
""",
    """
import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, v, d, h, c):
        super().__init__()
        self.emb = nn.Embedding(v, d, padding_idx=0)
        self.rnn = nn.LSTM(d, h, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(2 * h, c)

    def forward(self, ids):
        out, (hn, cn) = self.rnn(self.emb(ids))
        return self.fc(self.drop(out[:, -1]))


class TimeMajor(nn.Module):
    def __init__(self, d, h, c):
        super().__init__()
        self.rnn = nn.GRU(d, h)
        self.fc = nn.Linear(h, c)

    def forward(self, x):
        out, _ = self.rnn(x.transpose(0, 1))
        out = out.transpose(0, 1)
        return self.fc(out[:, -1])


class Enc(nn.Module):
    def __init__(self, v, d):
        super().__init__()
        self.emb = nn.Embedding(v, d)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 4, batch_first=True), 2)

    def forward(self, ids, attention_mask=None):
        pad = ids.eq(0) if attention_mask is None else ~attention_mask.bool()
        h = self.enc(self.emb(ids), src_key_padding_mask=pad)
        keep = (~pad).unsqueeze(-1).float()
        return (h * keep).sum(1) / keep.sum(1).clamp(min=1)
""",
    """
import random
import torchvision.transforms.functional as TF
from torchvision import transforms as T


def augment(img, mask):
    if random.random() < 0.5:
        img, mask = TF.hflip(img), TF.hflip(mask)
    if random.random() < 0.3:
        img = TF.adjust_brightness(img, 1.2)
    i, j, h, w = T.RandomCrop.get_params(img, (256, 256))
    return TF.crop(img, i, j, h, w), TF.crop(mask, i, j, h, w)


train_tf = T.Compose([T.RandomResizedCrop(224), T.ToTensor()])
val_tf = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor()])


def build(ImageFolder):
    return ImageFolder("train", transform=train_tf), ImageFolder("val", transform=val_tf)
""",
    """
import os, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, DistributedSampler


def main(model, ds, crit, epochs):
    dist.init_process_group("nccl")
    local = int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(local)
    torch.manual_seed(0)
    model = DDP(model.cuda(), device_ids=[local])
    opt = torch.optim.AdamW(model.parameters(), lr=3e-4)
    sampler = DistributedSampler(ds)
    loader = DataLoader(ds, 32, sampler=sampler, num_workers=2, pin_memory=True)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        model.train()
        for x, y in loader:
            x, y = x.cuda(non_blocking=True), y.cuda(non_blocking=True)
            opt.zero_grad()
            loss = crit(model(x), y)
            loss.backward()
            opt.step()
        if dist.get_rank() == 0:
            torch.save(
                {"model": model.module.state_dict(), "opt": opt.state_dict(), "epoch": epoch},
                "last.pt",
            )
        dist.barrier()
""",
    """
import copy, torch
from torch import nn
import torch.nn.functional as F


class BYOL(nn.Module):
    def __init__(self, enc, d):
        super().__init__()
        self.online = enc
        self.pred = nn.Sequential(nn.Linear(d, d), nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, d))
        self.target = copy.deepcopy(enc)
        self.target.requires_grad_(False)

    def forward(self, a, b):
        p = self.pred(self.online(a))
        with torch.no_grad():
            z = self.target(b)
        return 2 - 2 * F.cosine_similarity(p, z, dim=-1).mean()

    @torch.no_grad()
    def momentum(self, m=0.996):
        for t, o in zip(self.target.parameters(), self.online.parameters()):
            t.mul_(m).add_(o, alpha=1 - m)
        for t, o in zip(self.target.buffers(), self.online.buffers()):
            t.copy_(o)
""",
    """
import torch, lightning as L
import torch.nn.functional as F


class Lit(L.LightningModule):
    def __init__(self, net, lr=1e-3):
        super().__init__()
        self.save_hyperparameters(ignore=["net"])
        self.net = net

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, _):
        x, y = batch
        out = self(x)
        self.log_dict(
            {"val/loss": F.cross_entropy(out, y), "val/acc": (out.argmax(1) == y).float().mean()}
        )

    def configure_optimizers(self):
        opt = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=self.trainer.max_epochs)
        return {"optimizer": opt, "lr_scheduler": sch}
""",
    """
import torch, lightning as L


class GAN(L.LightningModule):
    def __init__(self, g, d):
        super().__init__()
        self.automatic_optimization = False
        self.g, self.d = g, d

    def training_step(self, batch, _):
        og, od = self.optimizers()
        z = torch.randn(len(batch), 64, device=self.device)
        d_loss = self.d(self.g(z).detach()).relu().mean() - self.d(batch).mean()
        od.zero_grad()
        self.manual_backward(d_loss)
        od.step()
        g_loss = -self.d(self.g(z)).mean()
        og.zero_grad()
        self.manual_backward(g_loss)
        og.step()

    def configure_optimizers(self):
        return torch.optim.Adam(self.g.parameters()), torch.optim.Adam(self.d.parameters())
""",
    """
import torch
from torch import nn


class MLP(nn.Module):
    def __init__(self, d=256, depth=8, skip=4):
        super().__init__()
        self.skip = skip
        self.layers = nn.ModuleList(
            [nn.Linear(63 if i == 0 else d + 63 * (i == skip), d) for i in range(depth)]
        )
        self.sigma = nn.Linear(d, 1)
        self.rgb = nn.Sequential(
            nn.Linear(d, d // 2), nn.ReLU(), nn.Linear(d // 2, 3), nn.Sigmoid()
        )

    def forward(self, x):
        h = x
        for i, l in enumerate(self.layers):
            if i == self.skip:
                h = torch.cat([h, x], -1)
            h = l(h).relu()
        return self.sigma(h).relu(), self.rgb(h)


def train(model, rays, target, opt, render, iters):
    for it in range(iters):
        idx = torch.randint(len(rays), (1024,))
        opt.zero_grad()
        pred = render(model, rays[idx])
        loss = ((pred - target[idx]) ** 2).mean()
        loss.backward()
        opt.step()
        if it % 100 == 0:
            psnr = -10 * torch.log10(loss.detach())
            print(it, loss.item(), psnr.item())
""",
    """
import numpy as np


def miou(hist):
    inter = np.diag(hist)
    union = hist.sum(1) + hist.sum(0) - inter
    return np.nanmean(inter / np.maximum(union, 1))


def box_iou(a, b):
    inter = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inter
    return inter / union
""",
    """
import torch
from torch import nn


class SetCriterion(nn.Module):
    def __init__(self, n, matcher, w):
        super().__init__()
        self.n, self.matcher, self.w = n, matcher, w
        empty = torch.ones(n + 1)
        empty[-1] = 0.1
        self.register_buffer("empty", empty)

    def forward(self, out, targets):
        idx = self.matcher(out, targets)
        src = out["logits"]
        tgt = torch.full(src.shape[:2], self.n, device=src.device)
        for b, (i, j) in enumerate(idx):
            tgt[b, i] = targets[b]["labels"][j]
        loss_ce = nn.functional.cross_entropy(src.transpose(1, 2), tgt, self.empty)
        loss_box = torch.stack(
            [
                nn.functional.l1_loss(out["boxes"][b, i], targets[b]["boxes"][j])
                for b, (i, j) in enumerate(idx)
            ]
        ).mean()
        losses = {"ce": loss_ce, "box": loss_box}
        return sum(self.w[k] * v for k, v in losses.items())
""",
    """
import torch
from accelerate import Accelerator


def main(model, loader, val_loader, epochs):
    acc = Accelerator(gradient_accumulation_steps=4)
    opt = torch.optim.AdamW(model.parameters())
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 1e-3, total_steps=epochs * len(loader))
    model, opt, loader, val_loader, sched = acc.prepare(model, opt, loader, val_loader, sched)
    for e in range(epochs):
        model.train()
        for x, y in loader:
            with acc.accumulate(model):
                loss = torch.nn.functional.cross_entropy(model(x), y)
                acc.backward(loss)
                if acc.sync_gradients:
                    acc.clip_grad_norm_(model.parameters(), 1.0)
                opt.step()
                sched.step()
                opt.zero_grad()
        model.eval()
        ok = n = 0
        for x, y in val_loader:
            with torch.no_grad():
                p = model(x).argmax(-1)
            p, y = acc.gather_for_metrics((p, y))
            ok += (p == y).sum().item()
            n += y.numel()
        acc.print(e, ok / n)
""",
    """
import torch, torch.nn.functional as F


class DenoisingAutoencoderTrainer:
    def loss(self, model, ids):
        logits = model(ids)
        return F.cross_entropy(logits.transpose(1, 2), ids)
""",
    """
import torch


def fixed_noise_eval(model, loader, device):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for i, x in enumerate(loader):
            torch.manual_seed(1234 + i)
            n = torch.randn_like(x)
            total += ((model(x + n) - n) ** 2).sum().item()
    return total
""",
    """
import torch


def entropy(logits):
    logp = logits.log_softmax(-1)
    return -(logp.exp() * logp).sum(-1).mean()


def entropy2(p, eps=1e-9):
    q = p.clamp(min=eps)
    return -(q * torch.log(q)).sum(-1)
""",
    """
import random
import torchvision.transforms.functional as TF


def augment(image, label):
    if random.random() < 0.5:
        image = TF.hflip(image)
    return image, label


def flip(image, boxes, labels, width):
    if random.random() < 0.5:
        image = image.flip(-1)
        boxes = boxes[:, [2, 1, 0, 3]] * boxes.new_tensor([-1, 1, -1, 1]) + boxes.new_tensor([width, 0, width, 0])
    return image, boxes, labels
""",
]
