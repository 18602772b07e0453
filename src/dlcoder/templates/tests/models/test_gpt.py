"""Tests of the language model."""

import math

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.gpt import GPT

TOKENS = torch.arange(24).view(2, 12)


def tiny() -> GPT:
    torch.manual_seed(0)
    return GPT(50, width=32, layers=2, heads=4, kv_heads=2, max_length=32).eval()


def test_all_tokens_are_about_equally_likely_at_the_start() -> None:
    logits = tiny()(TOKENS)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(50), abs=0.1)


def test_no_position_sees_a_later_token() -> None:
    model, changed = tiny(), TOKENS.clone()
    changed[:, 7:] = 49
    assert torch.equal(model(TOKENS)[:, :7], model(changed)[:, :7])
    assert not torch.equal(model(TOKENS)[:, 7:], model(changed)[:, 7:])


def test_a_cache_in_uneven_pieces_gives_the_logits_of_the_whole() -> None:
    model, cache = tiny(), []  # type: ignore[var-annotated]
    pieces = [model(TOKENS[:, a:b], cache) for a, b in ((0, 5), (5, 6), (6, 12))]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(TOKENS))


def test_the_likeliest_tokens_are_generated() -> None:
    model, expected = tiny(), TOKENS[:, :3]
    for _ in range(4):
        likeliest = model(expected)[:, -1:].argmax(dim=2)
        expected = torch.cat([expected, likeliest], dim=1)
    assert torch.equal(model.generate(TOKENS[:, :3], 4, temperature=0), expected)


def test_it_learns_a_sequence_by_heart() -> None:
    model = tiny().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        logits = model(TOKENS[:, :-1]).flatten(0, 1)
        loss = F.cross_entropy(logits, TOKENS[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_sequence_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="max_length=32"):
        tiny()(torch.zeros(1, 33, dtype=torch.int64))
