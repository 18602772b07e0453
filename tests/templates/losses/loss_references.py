"""Every loss beside a reference written plainly, sample by sample, and inputs to compare them on."""

import math

import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from dlcoder.templates.components.losses import (
    arcface,
    barlow_twins,
    beta_vae,
    binary_cross_entropy,
    boundary,
    box_iou,
    charbonnier,
    cross_entropy,
    dice,
    dice_cross_entropy,
    diffusion,
    dino,
    distillation,
    dpo,
    focal,
    gan,
    generalized_dice,
    info_nce,
    lovasz_softmax,
    mae_reconstruction,
    next_token,
    nt_xent,
    ohem_cross_entropy,
    region_consensus,
    sigmoid_focal,
    smooth_l1,
    ssim,
    supervised_contrastive,
    triplet,
    tversky,
    vicreg,
)

IGNORE = 255
CLASSES = torch.tensor([0, 0, 1, 1, 1, 2])


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(high, *shape, seed=1):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def mask():
    target = labels(4, 2, 8, 8)
    target[0, :2] = IGNORE
    target[1, target[1] == 3] = 0  # class 3 is absent from the second image
    return target


def per_class(logits, target):
    """Yield (probabilities, truth) of the valid pixels of every image and class."""
    for image, truth in zip(logits.softmax(1), target, strict=True):
        valid = truth != IGNORE
        for index in range(logits.shape[1]):
            yield image[index][valid], (truth[valid] == index).to(logits.dtype)


def cross_entropy_reference(logits, target):
    weights = [0.5, 1.0, 2.0, 1.5]
    total, count = 0.0, 0.0
    for row, label in zip(logits.permute(0, 2, 3, 1).reshape(-1, 4), target.flatten(), strict=True):
        if label != IGNORE:
            log_p, log_z = row.log_softmax(0), row.exp().sum().log()
            smooth = sum(-w * 0.1 / 4 * p for w, p in zip(weights, log_p, strict=True))
            total = total + smooth + weights[label] * (0.01 * log_z**2 - 0.9 * log_p[label])
            count += weights[label]
    return total / count


def focal_reference(logits, target):
    alpha = torch.tensor([0.5, 1.0, 2.0, 1.5], dtype=logits.dtype)
    total, count = 0.0, 0
    for row, label in zip(logits.permute(0, 2, 3, 1).reshape(-1, 4), target.flatten(), strict=True):
        if label != IGNORE:
            p = row.softmax(0)[label]
            total, count = total - alpha[label] * (1 - p) ** 2 * p.log(), count + 1
    return total / count


def dice_reference(logits, target):
    scores = [1 - 2 * (p * t).sum() / (p.sum() + t.sum()) for p, t in per_class(logits, target) if t.any()]
    return torch.stack(scores).mean()


def tversky_reference(logits, target):
    scores = []
    for p, t in per_class(logits, target):
        tp, fp, fn = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
        if t.any():
            scores.append((1 - tp / (tp + 0.3 * fp + 0.7 * fn)) ** (1 / 1.5))
    return torch.stack(scores).mean()


def generalized_dice_reference(logits, target):
    losses = []
    for start in range(0, 8, 4):
        pairs = list(per_class(logits, target))[start : start + 4]
        sizes = [t.sum() for _, t in pairs]
        largest = max(1 / s**2 for s in sizes if s > 0)
        weights = [1 / s**2 if s > 0 else largest for s in sizes]
        overlap = sum(w * (p * t).sum() for w, (p, t) in zip(weights, pairs, strict=True))
        total = sum(w * (p.sum() + t.sum()) for w, (p, t) in zip(weights, pairs, strict=True))
        losses.append(1 - 2 * overlap / total)
    return torch.stack(losses).mean()


def ohem_reference(logits, target):
    ce = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")[target != IGNORE]
    hard = ce > -math.log(0.3)
    most = ce.sort(descending=True).values[: round(0.5 * target.numel())]
    return ce[hard].mean() if hard.sum() > len(most) else most.mean()


def lovasz_reference(logits, target):
    probs, valid, losses = logits.softmax(1), target != IGNORE, []
    for index in range(4):
        t = (target[valid] == index).to(logits.dtype)
        if not t.any():
            continue
        errors, order = (t - probs[:, index][valid]).abs().sort(descending=True)
        t, previous, loss = t[order], 0.0, 0.0
        for i in range(len(t)):
            missed, extra = t[: i + 1].sum(), (1 - t[: i + 1]).sum()
            jaccard = 1 - (t.sum() - missed) / (t.sum() + extra)
            loss, previous = loss + errors[i] * (jaccard - previous), jaccard
        losses.append(loss)
    return torch.stack(losses).mean()


def region_reference(logits, target):
    total, probs = 0.0, logits.softmax(1)
    for image, regions in zip(probs, target, strict=True):
        for index in range(4):
            pixels = image[:, regions == index]
            if pixels.numel():
                mean = pixels.mean(1, keepdim=True)
                total = total + (mean * (mean.log() - pixels.log())).sum()
    return total / (target != IGNORE).sum()


def boundary_reference(logits, target):
    distance = torch.stack([boundary.signed_distance(t, 4) for t in target]).to(logits.dtype)
    product = logits.softmax(1)[:, 1:] * distance[:, 1:]
    valid = target != IGNORE
    return sum(product[:, c][valid].sum() for c in range(3)) / (3 * valid.sum())


def boundary_loss(logits, target):
    distance = torch.stack([boundary.signed_distance(t, 4) for t in target])
    return boundary.BoundaryLoss()(logits, target, distance)


def dice_ce_reference(logits, target):
    return dice_reference(logits, target) + F.cross_entropy(logits, target, ignore_index=IGNORE)


def boxes(n, seed):
    corner = 10 * randn(n, 2, seed=seed)
    return torch.cat([corner, corner + 1 + randn(n, 2, seed=seed + 1).abs() * 8], dim=1)


def box_reference(kind):
    def reference(a, b):
        total = 0.0
        for (x1, y1, x2, y2), (u1, v1, u2, v2) in zip(a, b, strict=True):
            inter = (min(x2, u2) - max(x1, u1)).clamp(min=0) * (min(y2, v2) - max(y1, v1)).clamp(min=0)
            union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - inter
            width, height = max(x2, u2) - min(x1, u1), max(y2, v2) - min(y1, v1)
            iou = inter / union
            loss = 1 - iou
            if kind == "giou":
                loss = loss + (width * height - union) / (width * height)
            if kind in ("diou", "ciou"):
                d = ((x1 + x2 - u1 - u2) / 2) ** 2 + ((y1 + y2 - v1 - v2) / 2) ** 2
                loss = loss + d / (width**2 + height**2)
            if kind == "ciou":
                aspect = torch.atan((u2 - u1) / (v2 - v1)) - torch.atan((x2 - x1) / (y2 - y1))
                v = 4 / math.pi**2 * aspect**2
                loss = loss + (v / (1 - iou + v)).detach() * v
            total = total + loss
        return total / len(a)

    return reference


def ssim_reference(x, y):
    taps = torch.exp(-((torch.arange(11, dtype=x.dtype) - 5) ** 2) / 4.5)
    window = torch.outer(taps, taps) / taps.sum() ** 2
    values = []
    for a, b in zip(x.flatten(0, 1), y.flatten(0, 1), strict=True):
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                cov = (window * (p - mp) * (q - mq)).sum()
                values.append((2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    return 1 - torch.stack(values).mean()


def nt_xent_reference(a, b):
    views = F.normalize(torch.cat([a, b]), dim=1)
    n, total = len(a), 0.0
    for i in range(2 * n):
        scores = (views[i] @ views.T / 0.5).exp()
        total = total - (scores[(i + n) % (2 * n)] / (scores.sum() - scores[i])).log()
    return total / (2 * n)


def supcon_reference(x):
    classes = torch.tensor([0, 0, 1, 1, 1, 2])
    views, losses = F.normalize(x, dim=1), []
    for i in range(6):
        scores = views[i] @ views.T / 0.5
        log_z = torch.cat([scores[:i], scores[i + 1 :]]).logsumexp(0)
        positives = [scores[j] - log_z for j in range(6) if j != i and classes[j] == classes[i]]
        if positives:
            losses.append(-torch.stack(positives).mean())
    return torch.stack(losses).mean()


def triplet_reference(x):
    classes, losses = torch.tensor([0, 0, 1, 1, 1, 2]), []
    for i in range(5):
        same = [(x[i] - x[j]).norm() for j in range(6) if j != i and classes[j] == classes[i]]
        other = [(x[i] - x[j]).norm() for j in range(6) if classes[j] != classes[i]]
        losses.append((max(same) - min(other) + 0.3).clamp(min=0))
    return torch.stack(losses).mean()


def vicreg_reference(x, y):
    loss = 25 * ((x - y) ** 2).mean()
    for view in (x, y):
        cov = view.T.cov()
        loss = loss + 25 * (1 - (cov.diagonal() + 1e-4).sqrt()).clamp(min=0).mean() / 2
        loss = loss + (cov - cov.diagonal().diag()).square().sum() / x.shape[1]
    return loss


def barlow_reference(x, y):
    def standard(v):
        return (v - v.mean(0)) / (v.var(0, correction=0) + 1e-5).sqrt()

    c = standard(x).T @ standard(y) / len(x)
    weight = torch.full_like(c, 0.0051).fill_diagonal_(1)
    return ((c - torch.eye(len(c))) ** 2 * weight).sum()


def info_nce_reference(a, b):
    similarity = F.normalize(a) @ F.normalize(b).T / 0.5
    return (F.cross_entropy(similarity, torch.arange(6)) + F.cross_entropy(similarity.T, torch.arange(6))) / 2


SEGMENTATION = {
    "cross_entropy": (
        cross_entropy.CrossEntropyLoss(
            class_weights=[0.5, 1.0, 2.0, 1.5], label_smoothing=0.1, z_loss=0.01, ignore_index=IGNORE
        ),
        cross_entropy_reference,
    ),
    "focal": (
        focal.FocalLoss(alpha=torch.tensor([0.5, 1.0, 2.0, 1.5]), ignore_index=IGNORE),
        focal_reference,
    ),
    "dice": (dice.DiceLoss(), dice_reference),
    "tversky": (tversky.TverskyLoss(gamma=1.5), tversky_reference),
    "generalized_dice": (generalized_dice.GeneralizedDiceLoss(), generalized_dice_reference),
    "ohem_cross_entropy": (ohem_cross_entropy.OhemCrossEntropyLoss(threshold=0.3, min_kept=0.5), ohem_reference),
    "lovasz_softmax": (lovasz_softmax.LovaszSoftmaxLoss(), lovasz_reference),
    "region_consensus": (region_consensus.RegionConsensusLoss(4), region_reference),
    "boundary": (boundary_loss, boundary_reference),
    "dice_cross_entropy": (dice_cross_entropy.DiceCrossEntropyLoss(), dice_ce_reference),
}

EMBEDDINGS = {
    "nt_xent": (nt_xent.NTXentLoss(temperature=0.5), nt_xent_reference, 2),
    "info_nce": (info_nce.InfoNCELoss(temperature=0.5), info_nce_reference, 2),
    "supervised_contrastive": (
        lambda x: supervised_contrastive.SupervisedContrastiveLoss(temperature=0.5)(x, CLASSES),
        supcon_reference,
        1,
    ),
    "triplet": (lambda x: triplet.BatchHardTripletLoss()(x, CLASSES), triplet_reference, 1),
    "vicreg": (vicreg.VICRegLoss(), vicreg_reference, 2),
    "barlow_twins": (barlow_twins.BarlowTwinsLoss(), barlow_reference, 2),
}


# The others: each a loss, its reference, and the inputs that both are functions of.


def binary_cross_entropy_reference(logits):
    total, count = 0.0, 0
    for index in (UNKNOWN >= 0).nonzero().tolist():
        p, y = logits[tuple(index)].sigmoid(), UNKNOWN[tuple(index)]
        total = total - [0.5, 1.0, 2.0, 1.5][index[1]] * y * p.log() - (1 - y) * (1 - p).log()
        count += 1
    return total / count


def sigmoid_focal_reference(logits):
    p = logits.sigmoid()
    p_t = torch.where(BINARY == 1, p, 1 - p)
    alpha_t = torch.where(BINARY == 1, 0.25, 0.75)
    return (-alpha_t * (1 - p_t) ** 2 * p_t.log()).mean()


def smooth_l1_reference(x, y):
    d = (x - y).abs()
    return torch.where(d < 0.5, d**2, d - 0.25).mean()


def arcface_reference(x, weight):
    angle = torch.acos(F.normalize(x) @ F.normalize(weight).T)
    rows = []
    for angles, label in zip(angle, CLASSES.tolist(), strict=True):
        # Beyond pi, where the cosine would rise again, it goes on in a straight line.
        own = angles[label]
        shifted = torch.cos(own + 0.5) if own + 0.5 < math.pi else torch.cos(own) - 0.5 * math.sin(0.5)
        rows.append(8 * torch.cat([torch.cos(angles[:label]), shifted[None], torch.cos(angles[label + 1 :])]))
    return F.cross_entropy(torch.stack(rows), CLASSES)


def arcface_loss(x, weight):
    loss = arcface.ArcFaceLoss(5, 4, scale=8.0, margin=0.5)
    return torch.func.functional_call(loss, {"weight": weight}, (x, CLASSES))


def dino_reference(student):
    teacher = randn(2, 3, 7, seed=2)
    pairs = [
        -(teacher[g] / 0.04).softmax(1) * (student[v] / 0.1).log_softmax(1)
        for g in range(2)
        for v in range(4)
        if g != v
    ]
    return torch.stack(pairs).sum(-1).mean()


def mae_reference(prediction):
    total = 0.0
    for b, n in MASKED.nonzero():
        row, column = divmod(int(n), 2)
        patch = IMAGES[b, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        patch = patch.permute(1, 2, 0).flatten()
        patch = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
        total = total + ((prediction[b, n] - patch) ** 2).mean()
    return total / MASKED.sum()


def distillation_reference(student):
    p, q = (randn(2, 3, 5, seed=8) / 4).softmax(-1), (student / 4).softmax(-1)
    return 16 * (p * (p / q).log()).sum(-1).mean()


def vae_reference(reconstruction, mean, log_variance):
    posterior = Normal(mean, (log_variance / 2).exp())
    kl = kl_divergence(posterior, Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(1).mean()
    return ((reconstruction - IMAGES) ** 2).sum() / 2 / len(IMAGES) + 2 * kl


def discriminator(kind):
    return gan.GANLoss(kind=kind).discriminator


def diffusion_reference(prediction):
    def reference(output):
        total = 0.0
        for x, clean, noise, t in zip(output, CLEAN, NOISE, STEPS, strict=True):
            a, s = ALPHA_BAR[t].sqrt(), (1 - ALPHA_BAR[t]).sqrt()
            snr = ALPHA_BAR[t] / (1 - ALPHA_BAR[t])
            # The image that each output stands for, whatever was predicted.
            image = {"x0": x, "epsilon": (a * clean + s * noise - s * x) / a, "v": a * (a * clean + s * noise) - s * x}
            total = total + snr.clamp(max=5) * (image[prediction] - clean).square().mean()
        return total / len(output)

    return reference


def diffusion_loss(prediction):
    loss = diffusion.DiffusionLoss(ALPHA_BAR, prediction=prediction, snr_gamma=5.0)
    return lambda output: loss(output, CLEAN.to(output), NOISE.to(output), STEPS)


def next_token_reference(hidden, weight):
    logits = (hidden @ weight.T).flatten(0, 1)
    z = logits.logsumexp(1)[TOKENS.flatten() != -100].square().mean()
    return F.cross_entropy(logits, TOKENS.flatten()) + 0.1 * z


def next_token_loss(chunk):
    loss = next_token.NextTokenLoss(chunk=chunk, z_loss=0.1)
    return lambda hidden, weight: loss(hidden, weight, TOKENS)


def dpo_reference(chosen, rejected):
    p = torch.sigmoid(0.5 * ((chosen - randn(5, seed=2)) - (rejected - randn(5, seed=3))))
    return -(0.9 * p.log() + 0.1 * (1 - p).log()).mean()


def dpo_loss(chosen, rejected):
    return dpo.DPOLoss(beta=0.5, label_smoothing=0.1)(chosen, rejected, randn(5, seed=2), randn(5, seed=3))


def on_mask(name):
    """A segmentation loss and its reference as functions of the logits alone."""
    return tuple(lambda logits, f=f: f(logits, mask()) for f in SEGMENTATION[name])


UNKNOWN = labels(3, 2, 4, 3).double() - 1  # -1 is a label that is not known
BINARY = labels(2, 6, 5)
MASKED = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0]])
IMAGES = randn(2, 3, 8, 8)
ALPHA_BAR = torch.linspace(0.95, 0.05, 10, dtype=torch.float64)
CLEAN, NOISE, STEPS = randn(6, 3, 4), randn(6, 3, 4, seed=1), torch.tensor([0, 2, 4, 6, 8, 9])
TOKENS = labels(11, 2, 9)
TOKENS[0, :3] = -100
BOXES = boxes(9, 0), boxes(9, 0) + randn(9, 4, seed=9) / 3
PHOTOS = randn(1, 2, 14, 13).sigmoid(), randn(1, 2, 14, 13, seed=4).sigmoid()
HIDDEN = randn(2, 9, 6), randn(11, 6, seed=3)
SCORES = randn(7), randn(7, seed=2)

ORACLES = {
    **{name: (*on_mask(name), (randn(2, 4, 8, 8),)) for name in SEGMENTATION},
    **{name: (loss, plain, [randn(6, 5, seed=s) for s in range(n)]) for name, (loss, plain, n) in EMBEDDINGS.items()},
    **{
        f"box_iou {kind}": (box_iou.BoxIoULoss(kind=kind), box_reference(kind), BOXES)
        for kind in ("iou", "giou", "diou", "ciou")
    },
    **{
        f"diffusion {target}": (diffusion_loss(target), diffusion_reference(target), (randn(6, 3, 4, seed=3),))
        for target in ("epsilon", "v", "x0")
    },
    **{f"next_token in chunks of {n}": (next_token_loss(n), next_token_reference, HIDDEN) for n in (1, 5, 64)},
    "binary_cross_entropy": (
        lambda x: binary_cross_entropy.BinaryCrossEntropyLoss(pos_weight=[0.5, 1.0, 2.0, 1.5], ignore_index=-1)(
            x, UNKNOWN
        ),
        binary_cross_entropy_reference,
        (randn(2, 4, 3),),
    ),
    "sigmoid_focal": (lambda x: sigmoid_focal.SigmoidFocalLoss()(x, BINARY), sigmoid_focal_reference, (randn(6, 5),)),
    "smooth_l1": (smooth_l1.SmoothL1Loss(beta=0.5), smooth_l1_reference, (randn(5, 3), randn(5, 3, seed=2))),
    "charbonnier": (
        charbonnier.CharbonnierLoss(eps=0.1),
        lambda x, y: ((x - y) ** 2 + 0.01).sqrt().mean(),
        (randn(3, 4), randn(3, 4, seed=7)),
    ),
    "ssim": (ssim.SSIMLoss(), ssim_reference, PHOTOS),
    "arcface": (arcface_loss, arcface_reference, (randn(6, 5), randn(4, 5, seed=5))),
    "dino": (lambda x: dino.DINOLoss(7)(x, randn(2, 3, 7, seed=2)), dino_reference, (randn(4, 3, 7),)),
    "mae_reconstruction": (
        lambda x: mae_reconstruction.MAEReconstructionLoss(patch_size=4)(x, IMAGES, MASKED),
        mae_reference,
        (randn(2, 4, 48, seed=3),),
    ),
    "distillation": (
        lambda x: distillation.DistillationLoss()(x, randn(2, 3, 5, seed=8)),
        distillation_reference,
        (randn(2, 3, 5),),
    ),
    "beta_vae": (
        lambda x, m, v: beta_vae.BetaVAELoss(beta=2.0)(x, IMAGES, m, v),
        vae_reference,
        (randn(2, 3, 8, 8, seed=1), randn(2, 4), randn(2, 4, seed=1)),
    ),
    "gan hinge": (
        discriminator("hinge"),
        lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(),
        SCORES,
    ),
    "gan non_saturating": (
        discriminator("non_saturating"),
        lambda r, f: -(r.sigmoid().log().mean() + (1 - f.sigmoid()).log().mean()),
        SCORES,
    ),
    "gan wasserstein": (discriminator("wasserstein"), lambda r, f: f.mean() - r.mean(), SCORES),
    "gan generator": (gan.GANLoss(kind="non_saturating"), lambda f: -f.sigmoid().log().mean(), SCORES[:1]),
    "dpo": (dpo_loss, dpo_reference, (randn(5), randn(5, seed=1))),
}
"""Loss, reference and inputs by the loss's name; FCOS has a file of its own."""
