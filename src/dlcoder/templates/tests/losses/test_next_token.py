"""Tests of the chunked next-token loss."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.next_token import NextTokenLoss

GENERATOR = torch.Generator().manual_seed(0)
HIDDEN = torch.randn(2, 9, 6, generator=GENERATOR)
WEIGHT = torch.randn(11, 6, generator=GENERATOR)
TARGET = torch.randint(11, (2, 9), generator=GENERATOR)
TARGET[0, :3] = -100


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_chunks_give_the_loss_and_gradient_of_the_whole(chunk: int) -> None:
    ours, whole = ([x.clone().requires_grad_() for x in (HIDDEN, WEIGHT)] for _ in "12")
    loss = NextTokenLoss(chunk=chunk)(*ours, TARGET)
    logits = (whole[0] @ whole[1].T).flatten(0, 1)
    expected = F.cross_entropy(logits, TARGET.flatten())
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, ours), torch.autograd.grad(expected, whole)
    )


def test_the_z_loss_is_the_mean_square_of_the_log_denominator() -> None:
    with_z, without = (
        NextTokenLoss(z_loss=z)(HIDDEN, WEIGHT, TARGET) for z in (0.1, 0.0)
    )
    log_z = (HIDDEN @ WEIGHT.T).logsumexp(dim=2)[TARGET != -100]
    torch.testing.assert_close(with_z - without, 0.1 * log_z.square().mean())


def test_ignored_tokens_cost_nothing() -> None:
    hidden = HIDDEN.clone().requires_grad_()
    loss = NextTokenLoss()(hidden, WEIGHT, torch.full((2, 9), -100))
    loss.backward()
    assert loss == 0
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_a_token_out_of_range_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        NextTokenLoss()(HIDDEN, WEIGHT, torch.full((2, 9), 11))


def test_in_float16_the_many_unlikely_tokens_keep_their_gradient() -> None:
    """Each has 1 / 65,536 of a probability, and a token 1 / 512 of the mean of it."""
    hidden = torch.zeros(512, 2, dtype=torch.float16, requires_grad=True)
    weight = torch.ones(65_536, 2, dtype=torch.float16)
    NextTokenLoss(chunk=64)(hidden, weight, torch.arange(512)).backward()
    # All weights are equal: it does not matter how likely each token is.
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad, torch.zeros_like(hidden), rtol=0, atol=1e-5)


def test_targets_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        NextTokenLoss()(HIDDEN, WEIGHT, TARGET[:1])
