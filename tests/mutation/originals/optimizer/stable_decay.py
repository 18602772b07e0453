import math


def get_wsd_lr(step, *, max_steps, warmup_steps, max_lr=1e-3, min_lr=1e-5, decay_frac=0.2):
    """Warmup, stable, decay."""
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    start = int(max_steps * (1 - decay_frac))
    if step < start:
        return max_lr
    if step >= max_steps:
        return min_lr
    t = (step - start) / (max_steps - start)
    return min_lr + (max_lr - min_lr) * 0.5 * (1 + math.cos(math.pi * t))
