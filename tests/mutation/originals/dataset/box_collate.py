import torch


def detection_collate_fn(samples):
    images = torch.stack([s[0] for s in samples])
    targets = []
    for i, s in enumerate(samples):
        t = s[1]
        idx = torch.full((len(t), 1), float(i))
        targets.append(torch.cat([idx, t], dim=1))
    return images, torch.cat(targets, dim=0)
