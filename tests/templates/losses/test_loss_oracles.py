"""Every loss and its gradient against a reference written plainly, in double and single precision."""

import pytest
import torch
from loss_references import ORACLES

from dlcoder.templates.catalogue import catalogue

losses = pytest.mark.parametrize("name", ORACLES)


def value_and_gradients(function, inputs):
    inputs = [x.clone().requires_grad_() for x in inputs]
    value = function(*inputs)
    assert value.dim() == 0
    return value.detach(), torch.autograd.grad(value, inputs)


def test_every_loss_has_a_reference():
    """FCOS has a file of its own."""
    named = {name.split()[0] for name in ORACLES} | {"fcos"}
    assert named == {c.id.removeprefix("losses/") for c in catalogue().values() if c.kind == "losses"}


@losses
def test_a_loss_and_its_gradient_equal_the_plain_formula(name):
    loss, reference, inputs = ORACLES[name]
    value, gradients = value_and_gradients(loss, inputs)
    expected, expected_gradients = value_and_gradients(reference, inputs)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-6, atol=1e-8)


@losses
def test_single_precision_is_within_its_rounding_of_double(name):
    loss, reference, inputs = ORACLES[name]
    single = [x.float() for x in inputs]
    value, gradients = value_and_gradients(loss, single)
    expected, expected_gradients = value_and_gradients(reference, [x.double() for x in single])
    assert value.dtype == torch.float32
    assert abs(value - expected) <= 1e-6 * abs(expected)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        assert (gradient - wanted).norm() <= 1e-6 * wanted.norm()


@losses
def test_the_gradient_is_that_of_finite_differences(name):
    loss, _, inputs = ORACLES[name]
    assert torch.autograd.gradcheck(loss, [x.clone().requires_grad_() for x in inputs], fast_mode=True)
