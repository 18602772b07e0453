"""Every loss against a reference written plainly in float64, and at the edges of its domain."""

import math

import pytest
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
segmentation = pytest.mark.parametrize("name", SEGMENTATION)


def value_and_gradient(loss, *inputs):
    inputs = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    value = loss(*inputs)
    floating = [x for x in inputs if x.is_floating_point()]
    return value.detach(), torch.autograd.grad(value, floating, allow_unused=True)


def assert_same(loss, reference, *inputs):
    value, gradients = value_and_gradient(loss, *inputs)
    expected, expected_gradients = value_and_gradient(reference, *inputs)
    assert value.dim() == 0
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-9)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        if wanted is not None:
            torch.testing.assert_close(gradient, wanted, rtol=1e-6, atol=1e-9)


@segmentation
def test_a_segmentation_loss_and_its_gradient_equal_the_plain_formula(name):
    assert_same(*SEGMENTATION[name], randn(2, 4, 8, 8), mask())


@segmentation
def test_ignored_pixels_change_nothing_and_get_no_gradient(name):
    loss, target = SEGMENTATION[name][0], mask()
    logits = randn(2, 4, 8, 8)
    moved = torch.where((target == IGNORE).unsqueeze(1), logits + 50 * randn(2, 4, 8, 8, seed=5), logits)
    value, (gradient,) = value_and_gradient(loss, logits, target)
    torch.testing.assert_close(loss(moved, target), value)
    assert (gradient[0, :, :2] == 0).all()
    assert gradient.abs().sum() > 0


@segmentation
def test_a_mask_of_ignored_pixels_gives_zero_and_no_gradient(name):
    value, (gradient,) = value_and_gradient(SEGMENTATION[name][0], randn(2, 4, 8, 8), torch.full((2, 8, 8), IGNORE))
    assert value == 0
    assert (gradient == 0).all()


@segmentation
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_close_to_double(name, dtype):
    loss, logits = SEGMENTATION[name][0], 4 * randn(2, 4, 8, 8)
    value = loss(logits.to(dtype), mask())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), loss(logits, mask()), rtol=0.06, atol=0.02)


@segmentation
def test_saturated_logits_stay_finite(name):
    value, (gradient,) = value_and_gradient(SEGMENTATION[name][0], 1e4 * randn(2, 4, 8, 8), mask())
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", sorted(SEGMENTATION.keys() - {"boundary"}))
def test_a_label_that_is_no_class_is_refused(name):
    target = mask()
    target[1, 0, 0] = 4
    with pytest.raises((RuntimeError, IndexError)):
        SEGMENTATION[name][0](randn(2, 4, 8, 8), target)


@segmentation
def test_a_segmentation_loss_compiles_without_a_graph_break(name):
    if name == "boundary":
        loss = boundary.BoundaryLoss()
        arguments = (randn(2, 4, 8, 8), mask(), randn(2, 4, 8, 8, seed=2))
    else:
        loss, arguments = SEGMENTATION[name][0], (randn(2, 4, 8, 8), mask())
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*arguments), loss(*arguments))


def test_dice_over_a_large_background_does_not_overflow_in_half_precision():
    logits = torch.zeros(1, 2, 300, 300)
    logits[:, 0] = 4
    target = torch.zeros(1, 300, 300, dtype=torch.long)
    torch.testing.assert_close(dice.DiceLoss()(logits.half(), target), dice.DiceLoss()(logits, target))


def test_focal_loss_without_focus_is_cross_entropy():
    logits, target = randn(2, 4, 8, 8), mask()
    expected = F.cross_entropy(logits, target, ignore_index=IGNORE)
    torch.testing.assert_close(focal.FocalLoss(gamma=0.0, ignore_index=IGNORE)(logits, target), expected)


def test_focal_loss_below_gamma_one_has_a_finite_gradient_at_saturation():
    for loss, target in (
        (focal.FocalLoss(gamma=0.5), labels(4, 2, 8, 8)),
        (sigmoid_focal.SigmoidFocalLoss(gamma=0.5), labels(2, 2, 4, 8, 8)),
    ):
        _, (gradient,) = value_and_gradient(loss, 100 * randn(2, 4, 8, 8), target)
        assert gradient.isfinite().all()


def test_sigmoid_focal_loss_equals_its_formula():
    def reference(logits, target):
        p = logits.sigmoid()
        p_t = torch.where(target == 1, p, 1 - p)
        alpha_t = torch.where(target == 1, 0.25, 0.75)
        return (-alpha_t * (1 - p_t) ** 2 * p_t.log()).mean()

    assert_same(sigmoid_focal.SigmoidFocalLoss(), reference, randn(6, 5), labels(2, 6, 5))


def test_binary_cross_entropy_weighs_positives_by_class_and_leaves_out_unknown_labels():
    target = labels(3, 2, 4, 3).double() - 1  # -1 is unknown
    weights = [0.5, 1.0, 2.0, 1.5]

    def reference(logits):
        total, count = 0.0, 0
        for index in (target >= 0).nonzero().tolist():
            p, y = logits[tuple(index)].sigmoid(), target[tuple(index)]
            total = total - weights[index[1]] * y * p.log() - (1 - y) * (1 - p).log()
            count += 1
        return total / count

    loss = binary_cross_entropy.BinaryCrossEntropyLoss(pos_weight=weights)
    assert_same(lambda x: loss(x, target), reference, randn(2, 4, 3))
    assert loss(randn(2, 4, 3), torch.full((2, 4, 3), -1)) == 0


def test_smooth_l1_equals_its_formula():
    def reference(x, y):
        d = (x - y).abs()
        return torch.where(d < 0.5, d**2, d - 0.25).mean()

    assert_same(smooth_l1.SmoothL1Loss(beta=0.5), reference, randn(5, 3), randn(5, 3, seed=2))
    assert smooth_l1.SmoothL1Loss()(torch.zeros(0, 3), torch.zeros(0, 3)) == 0
    with pytest.raises(ValueError, match="shapes differ"):
        smooth_l1.SmoothL1Loss()(torch.zeros(4, 1), torch.zeros(4))


def test_lovasz_of_hard_predictions_is_one_minus_mean_iou():
    prediction, target = labels(4, 2, 8, 8, seed=3), mask()
    logits = 1e4 * F.one_hot(prediction, 4).movedim(-1, 1).double()
    valid = target != IGNORE
    iou = [
        ((prediction == c) & (target == c))[valid].sum() / ((prediction == c) | (target == c))[valid].sum()
        for c in range(4)
    ]
    expected = 1 - torch.stack(iou).mean().double()
    torch.testing.assert_close(lovasz_softmax.LovaszSoftmaxLoss()(logits, target), expected)


def test_signed_distance_is_zero_on_the_inner_boundary_and_negative_inside():
    target = torch.zeros(7, 7, dtype=torch.long)
    target[2:5, 2:5] = 1
    distance = boundary.signed_distance(target, 3)
    assert distance[1, 3, 3] == -1
    assert (distance[1, 2, 2:5] == 0).all()
    assert distance[1, 0, 0] == pytest.approx(math.sqrt(8))
    assert (distance[2] == 0).all()


# Boxes


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


kinds = pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou"])


@kinds
def test_a_box_loss_equals_its_formula(kind):
    assert_same(box_iou.BoxIoULoss(kind=kind), box_reference(kind), boxes(9, 0), boxes(9, 0) + randn(9, 4, seed=9) / 3)


@kinds
def test_boxes_without_area_are_finite(kind):
    degenerate = torch.tensor([[1.0, 1, 1, 1], [1, 1, 3, 1], [0, 0, 2, 2]])
    target = torch.tensor([[1.0, 1, 1, 1], [0, 0, 2, 2], [0, 0, 2, 2]])
    value, gradients = value_and_gradient(box_iou.BoxIoULoss(kind=kind), degenerate, target)
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients)


@kinds
def test_no_boxes_give_zero_and_keep_the_graph(kind):
    empty = torch.zeros(0, 4, requires_grad=True)
    loss = box_iou.BoxIoULoss(kind=kind)(empty, torch.zeros(0, 4))
    loss.backward()
    assert loss == 0


@kinds
def test_identical_boxes_cost_nothing(kind):
    assert box_iou.BoxIoULoss(kind=kind)(boxes(5, 0), boxes(5, 0)).abs() < 1e-12


# Images


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


def test_ssim_equals_the_formula_window_by_window():
    x, y = randn(1, 2, 14, 13).sigmoid(), randn(1, 2, 14, 13, seed=4).sigmoid()
    assert_same(ssim.SSIMLoss(), ssim_reference, x, y)


def test_multi_scale_ssim_is_finite_with_a_gradient_for_inverted_images():
    x = randn(1, 1, 176, 176).sigmoid()
    value, gradients = value_and_gradient(ssim.SSIMLoss(multi_scale=True), x, 1 - x)
    assert 0.5 < value <= 1
    assert all(g.isfinite().all() for g in gradients)
    assert ssim.SSIMLoss(multi_scale=True)(x, x).abs() < 1e-9


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ValueError, match="161"):
        ssim.SSIMLoss(multi_scale=True)(torch.zeros(1, 1, 100, 100), torch.zeros(1, 1, 100, 100))


def test_charbonnier_equals_its_formula():
    assert_same(
        charbonnier.CharbonnierLoss(eps=0.1),
        lambda x, y: ((x - y) ** 2 + 0.01).sqrt().mean(),
        randn(3, 4),
        randn(3, 4, seed=7),
    )


# Contrastive and self-supervised


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


CLASSES = torch.tensor([0, 0, 1, 1, 1, 2])
EMBEDDINGS = {
    "nt_xent": (nt_xent.NTXentLoss(temperature=0.5), nt_xent_reference, 2),
    "info_nce": (
        info_nce.InfoNCELoss(temperature=0.5),
        lambda a, b: (
            (
                F.cross_entropy(F.normalize(a) @ F.normalize(b).T / 0.5, torch.arange(6))
                + F.cross_entropy(F.normalize(b) @ F.normalize(a).T / 0.5, torch.arange(6))
            )
            / 2
        ),
        2,
    ),
    "supervised_contrastive": (
        lambda x: supervised_contrastive.SupervisedContrastiveLoss(temperature=0.5)(x, CLASSES),
        supcon_reference,
        1,
    ),
    "triplet": (lambda x: triplet.BatchHardTripletLoss()(x, CLASSES), triplet_reference, 1),
    "vicreg": (vicreg.VICRegLoss(), vicreg_reference, 2),
    "barlow_twins": (barlow_twins.BarlowTwinsLoss(), barlow_reference, 2),
}
embedding = pytest.mark.parametrize("name", EMBEDDINGS)


@embedding
def test_an_embedding_loss_equals_its_formula(name):
    loss, reference, views = EMBEDDINGS[name]
    assert_same(loss, reference, *(randn(6, 5, seed=s) for s in range(views)))


@embedding
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_collapsed_embeddings_are_finite(name, value):
    loss, _, views = EMBEDDINGS[name]
    result, gradients = value_and_gradient(loss, *(torch.full((6, 5), value) for _ in range(views)))
    assert result.isfinite()
    assert all(g.isfinite().all() for g in gradients)


@embedding
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_embeddings_stay_close_to_double(name, dtype):
    loss, _, views = EMBEDDINGS[name]
    inputs = [randn(6, 5, seed=s) for s in range(views)]
    result = loss(*(x.to(dtype) for x in inputs))
    torch.testing.assert_close(result.double(), loss(*inputs), rtol=0.06, atol=0.02)


def test_equal_views_give_the_logarithm_of_the_number_of_candidates():
    same = torch.ones(6, 5)
    assert nt_xent.NTXentLoss()(same, same) == pytest.approx(math.log(11), abs=1e-5)
    assert info_nce.InfoNCELoss()(same, same) == pytest.approx(math.log(6), abs=1e-5)


def test_supervised_contrast_without_any_positive_is_zero():
    loss = supervised_contrastive.SupervisedContrastiveLoss()(randn(4, 3).requires_grad_(), torch.arange(4))
    assert loss == 0


def test_arcface_equals_its_formula():
    torch.manual_seed(0)
    loss = arcface.ArcFaceLoss(5, 4, scale=8.0, margin=0.5).double()
    target = torch.tensor([0, 3, 1, 1, 2, 0])

    def reference(x):
        angle = torch.acos(F.normalize(x) @ F.normalize(loss.weight.detach()).T)
        own = F.one_hot(target, 4) * 0.5
        return F.cross_entropy(8 * torch.cos(angle + own), target)

    assert_same(lambda x: loss(x, target), reference, randn(6, 5))


def test_dino_equals_its_formula_and_moves_its_center_after_use():
    loss = dino.DINOLoss(7).double()
    student, teacher = randn(4, 3, 7), randn(2, 3, 7, seed=2)

    def reference(student):
        pairs = [
            -(teacher[g] / 0.04).softmax(1) * (student[v] / 0.1).log_softmax(1)
            for g in range(2)
            for v in range(4)
            if g != v
        ]
        return torch.stack(pairs).sum(-1).mean()

    torch.testing.assert_close(loss(student, teacher), reference(student))
    torch.testing.assert_close(loss.center, 0.1 * teacher.mean((0, 1)))
    loss.eval()
    before = loss.center.clone()
    loss(student, teacher)
    assert torch.equal(loss.center, before)


def test_mae_loss_sees_masked_patches_only_and_survives_a_constant_patch():
    images = randn(2, 3, 8, 8)
    images[0, :, :4, :4] = 1.0
    masked = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0]])
    prediction = randn(2, 4, 48, seed=3)

    def reference(prediction):
        total = 0.0
        for b, n in masked.nonzero():
            row, column = divmod(int(n), 2)
            patch = images[b, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            patch = patch.permute(1, 2, 0).flatten()
            patch = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
            total = total + ((prediction[b, n] - patch) ** 2).mean()
        return total / masked.sum()

    assert_same(
        lambda p: mae_reconstruction.MAEReconstructionLoss(patch_size=4)(p, images, masked), reference, prediction
    )


# Distillation, generative, language


def test_distillation_is_the_mean_divergence_over_positions():
    def reference(student):
        teacher = randn(2, 3, 5, seed=8)
        p, q = (teacher / 4).softmax(-1), (student / 4).softmax(-1)
        return 16 * (p * (p / q).log()).sum(-1).mean()

    loss = distillation.DistillationLoss()
    assert_same(lambda s: loss(s, randn(2, 3, 5, seed=8)), reference, randn(2, 3, 5))


def test_distillation_of_equal_logits_is_zero_and_the_teacher_gets_no_gradient():
    student, teacher = randn(4, 5).requires_grad_(), randn(4, 5).requires_grad_()
    loss = distillation.DistillationLoss()(student, teacher)
    assert loss.abs() < 1e-12
    loss.backward()
    assert teacher.grad is None


def test_the_kl_of_the_vae_is_that_of_torch_distributions():
    mean, log_variance = randn(3, 4), randn(3, 4, seed=1)
    posterior = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros(3, 4).double(), 1.0)).sum(1).mean()
    image = randn(3, 2, 5, 5)
    loss = beta_vae.BetaVAELoss(beta=2.0)(image, image, mean, log_variance)
    torch.testing.assert_close(loss, 2 * expected)


def test_the_vae_bound_weighs_reconstruction_by_the_size_of_the_image():
    small, large = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 8, 8)
    zero = torch.zeros(1, 2)
    loss = beta_vae.BetaVAELoss()
    assert loss(large, 0 * large, zero, zero) == 4 * loss(small, 0 * small, zero, zero)


def test_gan_losses_equal_their_formulas():
    real, fake = randn(7), randn(7, seed=2)
    hinge, saturating, wasserstein = (gan.GANLoss(kind=k) for k in ("hinge", "non_saturating", "wasserstein"))
    r, f = real.float(), fake.float()
    torch.testing.assert_close(
        hinge.discriminator(real, fake), (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean()
    )
    torch.testing.assert_close(
        saturating.discriminator(real, fake), -(r.sigmoid().log().mean() + (1 - f.sigmoid()).log().mean())
    )
    torch.testing.assert_close(wasserstein.discriminator(real, fake), f.mean() - r.mean())
    torch.testing.assert_close(hinge(fake), -f.mean())
    torch.testing.assert_close(saturating(fake), -f.sigmoid().log().mean())


def test_the_gradient_penalty_of_a_linear_critic_is_known():
    critic = torch.nn.Linear(12, 1)
    penalty = gan.gradient_penalty(lambda x: critic(x.flatten(1)), torch.randn(5, 3, 4), torch.randn(5, 3, 4))
    torch.testing.assert_close(penalty, (critic.weight.norm() - 1) ** 2)
    penalty.backward()
    assert critic.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_all_diffusion_targets_weigh_the_same_error_of_x0_alike(prediction):
    alpha_bar = torch.linspace(0.99, 0.0, 50)
    loss = diffusion.DiffusionLoss(alpha_bar, prediction=prediction, snr_gamma=5.0)
    clean, noise = randn(50, 3, 4).float(), randn(50, 3, 4, seed=1).float()
    step = torch.arange(50)
    signal, sigma = alpha_bar.sqrt()[:, None, None], (1 - alpha_bar).sqrt()[:, None, None]
    snr = alpha_bar / (1 - alpha_bar)
    error = 0.1 * randn(50, 3, 4, seed=2).float()
    output = {
        "x0": clean + error,
        "epsilon": noise - error * signal / sigma,
        "v": signal * noise - sigma * clean - error / sigma,
    }[prediction]
    expected = (snr.clamp(max=5) * error.square().mean((1, 2))).mean()
    torch.testing.assert_close(loss(output, clean, noise, step), expected, rtol=1e-4, atol=1e-6)


def test_unweighted_epsilon_loss_is_the_mean_squared_error():
    loss = diffusion.DiffusionLoss(torch.linspace(0.99, 0.01, 10), snr_gamma=None)
    prediction, noise = randn(4, 3).float(), randn(4, 3, seed=1).float()
    torch.testing.assert_close(loss(prediction, noise, noise, torch.arange(4)), F.mse_loss(prediction, noise))


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_the_chunked_next_token_loss_equals_the_whole(chunk):
    target = labels(11, 2, 9)
    target[0, :3] = -100

    def reference(hidden, weight):
        logits = (hidden @ weight.T).flatten(0, 1)
        valid = target.flatten() != -100
        z = logits.logsumexp(1)[valid].square().mean()
        return F.cross_entropy(logits, target.flatten()) + 0.1 * z

    loss = next_token.NextTokenLoss(chunk=chunk, z_loss=0.1)
    assert_same(lambda h, w: loss(h, w, target), reference, randn(2, 9, 6), randn(11, 6, seed=3))


def test_next_token_loss_of_ignored_tokens_is_zero():
    value, gradients = value_and_gradient(next_token.NextTokenLoss(), randn(4, 6), randn(11, 6), torch.full((4,), -100))
    assert value == 0
    assert all((g == 0).all() for g in gradients)


def test_dpo_starts_at_ln_2_and_equals_its_formula():
    a, b, c, d = (randn(5, seed=s) for s in range(4))
    assert dpo.DPOLoss()(a, b, a, b) == pytest.approx(math.log(2))

    def reference(chosen, rejected):
        p = torch.sigmoid(0.5 * ((chosen - c) - (rejected - d)))
        return -(0.9 * p.log() + 0.1 * (1 - p).log()).mean()

    assert_same(lambda x, y: dpo.DPOLoss(beta=0.5, label_smoothing=0.1)(x, y, c, d), reference, a, b)


def test_sequence_log_probs_leave_out_the_prompt():
    logits, tokens = randn(1, 4, 6), torch.tensor([[-100, -100, 2, 5]])
    log_p = logits.log_softmax(-1)
    expected = log_p[0, 1, 2] + log_p[0, 2, 5]
    torch.testing.assert_close(dpo.sequence_log_probs(logits, tokens), expected[None])
