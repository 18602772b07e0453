import torch


def ppo_loss(logp_new, logp_old, adv, clip_eps=0.2):
    ratio = (logp_new - logp_old).exp()
    unclipped = ratio * adv
    clipped = ratio.clamp(1 - clip_eps, 1 + clip_eps) * adv
    return -torch.min(unclipped, clipped).mean()
