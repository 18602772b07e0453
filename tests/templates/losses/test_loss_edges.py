"""Losses at the edges of their domain: nothing valid, saturated, half precision, collapsed, compiled."""

import pytest
import torch
from loss_references import EMBEDDINGS, IGNORE, ORACLES, SEGMENTATION, labels, mask, randn
from scipy.ndimage import distance_transform_edt

from dlcoder.templates.components.losses import boundary, focal, sigmoid_focal, ssim

segmentation = pytest.mark.parametrize("name", SEGMENTATION)
embedding = pytest.mark.parametrize("name", EMBEDDINGS)


def value_and_gradient(loss, *inputs):
    inputs = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    value = loss(*inputs)
    floating = [x for x in inputs if x.is_floating_point()]
    return value.detach(), torch.autograd.grad(value, floating, allow_unused=True)


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


def test_focal_loss_below_gamma_one_has_a_finite_gradient_at_saturation():
    for loss, target in (
        (focal.FocalLoss(gamma=0.5), labels(4, 2, 8, 8)),
        (sigmoid_focal.SigmoidFocalLoss(gamma=0.5), labels(2, 2, 4, 8, 8)),
    ):
        _, (gradient,) = value_and_gradient(loss, 100 * randn(2, 4, 8, 8), target)
        assert gradient.isfinite().all()


def test_multi_scale_ssim_is_finite_with_a_gradient_for_inverted_images():
    x = randn(1, 1, 176, 176).sigmoid()
    value, gradients = value_and_gradient(ssim.SSIMLoss(multi_scale=True), x, 1 - x)
    assert 0.5 < value <= 1
    assert all(g.isfinite().all() for g in gradients)
    assert ssim.SSIMLoss(multi_scale=True)(x, x).abs() < 1e-9


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ValueError, match="161"):
        ssim.SSIMLoss(multi_scale=True)(torch.zeros(1, 1, 100, 100), torch.zeros(1, 1, 100, 100))


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


@pytest.mark.parametrize("name", ["focal", "dice", "next_token in chunks of 5"])
def test_a_loss_without_second_derivatives_says_so(name):
    loss, _, inputs = ORACLES[name]
    inputs = [x.clone().requires_grad_() for x in inputs]
    gradients = torch.autograd.grad(loss(*inputs), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        gradients[0].sum().backward()


@pytest.mark.parametrize("seed", range(4))
def test_signed_distances_equal_scipys(seed):
    target = labels(3, 23, 17, seed=seed).where(torch.rand(23, 17) < 0.1, 0)
    for index, distance in enumerate(boundary.signed_distance(target, 3)):
        inside = (target == index).numpy()
        expected = torch.as_tensor(distance_transform_edt(~inside) - (distance_transform_edt(inside) - 1) * inside)
        torch.testing.assert_close(distance.double(), expected, rtol=1e-6, atol=0)
