"""Tests of the synthetic language."""

import torch

from dlcoder.templates.components.datasets.synthetic_text import SyntheticText


def make(noise: float = 0.1, seed: int = 0) -> SyntheticText:
    return SyntheticText(20, vocab_size=8, length=30, seed=seed, noise=noise)


def test_targets_are_the_inputs_moved_by_one() -> None:
    inputs, targets = make()[0]
    assert inputs.shape == targets.shape == (30,)
    assert torch.equal(inputs[1:], targets[:-1])


def test_samples_are_repeatable_and_depend_on_the_seed() -> None:
    assert torch.equal(make()[3][0], make()[3][0])
    assert not torch.equal(make()[3][0], make(seed=1)[3][0])


def test_two_tokens_decide_the_next_and_the_rule_is_that_of_every_seed() -> None:
    rule = make().rule
    assert rule == make(seed=1).rule
    inputs, targets = make(noise=0.0)[0]
    tokens = [*inputs.tolist(), int(targets[-1])]
    for before, token, following in zip(tokens, tokens[1:], tokens[2:], strict=False):
        assert following == rule[before][token]


def test_the_fingerprint_tells_versions_apart() -> None:
    assert make().fingerprint() == make().fingerprint()
    assert make().fingerprint() != make(seed=1).fingerprint()
