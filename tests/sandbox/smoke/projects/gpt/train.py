"""
Train a character model on its own source, in the manner of nanoGPT.

$ python train.py
$ torchrun --standalone --nproc_per_node=2 train.py
"""

import argparse
import math
import os
import time
from contextlib import nullcontext

import torch
import torch.distributed as dist
from model import GPT
from torch.nn.parallel import DistributedDataParallel as DDP

p = argparse.ArgumentParser()
p.add_argument("--out_dir", default="out")
p.add_argument("--eval_interval", type=int, default=4)
p.add_argument("--eval_iters", type=int, default=2)
p.add_argument("--log_interval", type=int, default=2)
p.add_argument("--init_from", default="scratch", choices=["scratch", "resume"])
p.add_argument("--gradient_accumulation_steps", type=int, default=4)
p.add_argument("--batch_size", type=int, default=4)
p.add_argument("--block_size", type=int, default=32)
p.add_argument("--n_layer", type=int, default=2)
p.add_argument("--dropout", type=float, default=0.0)
p.add_argument("--learning_rate", type=float, default=1e-2)
p.add_argument("--min_lr", type=float, default=1e-3)
p.add_argument("--warmup_iters", type=int, default=3)
p.add_argument("--max_iters", type=int, default=12)
p.add_argument("--weight_decay", type=float, default=0.1)
p.add_argument("--grad_clip", type=float, default=1.0)
p.add_argument("--dtype", default="float16", choices=["float32", "bfloat16", "float16"])
p.add_argument("--seed", type=int, default=1337)
args = p.parse_args()

ddp = int(os.environ.get("RANK", -1)) != -1
rank, world_size = 0, 1
if ddp:
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, world_size = dist.get_rank(), dist.get_world_size()
    assert args.gradient_accumulation_steps % world_size == 0
    args.gradient_accumulation_steps //= world_size
device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
device_type = "cuda" if "cuda" in device else "cpu"
master_process = rank == 0
if master_process:
    os.makedirs(args.out_dir, exist_ok=True)
torch.manual_seed(args.seed + rank)
ptdtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[args.dtype]
amp = device_type == "cuda" or args.dtype != "float32"
ctx = torch.autocast(device_type, dtype=ptdtype) if amp and ptdtype != torch.float32 else nullcontext()

text = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.py")).read() * 4
chars = sorted(set(text))
data = torch.tensor([chars.index(c) for c in text])
split = int(0.9 * len(data))
train_data, val_data = data[:split], data[split:]


def get_batch(which):
    source = train_data if which == "train" else val_data
    ix = torch.randint(len(source) - args.block_size - 1, (args.batch_size,))
    x = torch.stack([source[i : i + args.block_size] for i in ix])
    y = torch.stack([source[i + 1 : i + 1 + args.block_size] for i in ix])
    return x.to(device), y.to(device)


model = GPT(len(chars), args.block_size, layers=args.n_layer, dropout=args.dropout).to(device)
scaler = torch.amp.GradScaler(device_type, enabled=args.dtype == "float16")
decay = [w for w in model.parameters() if w.dim() >= 2]
no_decay = [w for w in model.parameters() if w.dim() < 2]
groups = [{"params": decay, "weight_decay": args.weight_decay}, {"params": no_decay, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=args.learning_rate, betas=(0.9, 0.95))
iter_num, best_val_loss = 0, 1e9
if args.init_from == "resume":
    checkpoint = torch.load(os.path.join(args.out_dir, "ckpt.pt"), map_location=device, weights_only=True)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scaler.load_state_dict(checkpoint["scaler"])
    iter_num, best_val_loss = checkpoint["iter_num"], checkpoint["best_val_loss"]
    torch.set_rng_state(checkpoint["rng"][rank % len(checkpoint["rng"])].cpu())
raw_model = model
if ddp:
    model = DDP(model)


@torch.no_grad()
def estimate_loss():
    out = {}
    state = torch.get_rng_state()
    torch.manual_seed(7)
    raw_model.eval()
    for which in ["train", "val"]:
        losses = torch.zeros(args.eval_iters)
        for k in range(args.eval_iters):
            X, Y = get_batch(which)
            with ctx:
                _, loss = raw_model(X, Y)
            losses[k] = loss
        out[which] = losses.mean().item()
    raw_model.train()
    torch.set_rng_state(state)
    return out


def get_lr(it):
    if it < args.warmup_iters:
        return args.learning_rate * (it + 1) / (args.warmup_iters + 1)
    if it > args.max_iters:
        return args.min_lr
    ratio = (it - args.warmup_iters) / max(1, args.max_iters - args.warmup_iters)
    return args.min_lr + 0.5 * (1 + math.cos(math.pi * ratio)) * (args.learning_rate - args.min_lr)


def rng_states():
    state = torch.get_rng_state()
    if not ddp:
        return [state]
    states = [torch.empty_like(state) for _ in range(world_size)]
    dist.all_gather(states, state)
    return states


t0 = time.time()
while iter_num < args.max_iters:
    lr = get_lr(iter_num)
    for group in optimizer.param_groups:
        group["lr"] = lr
    for micro_step in range(args.gradient_accumulation_steps):
        if ddp:
            model.require_backward_grad_sync = micro_step == args.gradient_accumulation_steps - 1
        X, Y = get_batch("train")
        with ctx:
            logits, loss = model(X, Y)
            loss = loss / args.gradient_accumulation_steps
        scaler.scale(loss).backward()
    if args.grad_clip != 0.0:
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.grad_clip)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    iter_num += 1
    if iter_num % args.log_interval == 0 and master_process:
        lossf = loss.item() * args.gradient_accumulation_steps
        print(f"iter {iter_num}: loss {lossf:.4f}, time {(time.time() - t0) * 1000:.2f}ms")
    if iter_num % args.eval_interval == 0:
        rng = rng_states()
        if master_process:
            losses = estimate_loss()
            print(f"step {iter_num}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")
            best_val_loss = min(best_val_loss, losses["val"])
            checkpoint = {
                "model": raw_model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "iter_num": iter_num,
                "best_val_loss": best_val_loss,
                "rng": rng,
            }
            path = os.path.join(args.out_dir, "ckpt.pt")
            torch.save(checkpoint, path + ".tmp")
            os.replace(path + ".tmp", path)
if ddp:
    dist.destroy_process_group()
