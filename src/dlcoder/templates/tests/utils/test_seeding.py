"""Tests of seeding."""

import random

import numpy as np
import torch

from dlcoder.templates.components.utils.seeding import (
    get_rng_state,
    mix_seed,
    seed_everything,
    set_rng_state,
)


def draws() -> list[float]:
    return [random.random(), float(np.random.randn()), float(torch.rand(()))]


def test_equal_seeds_give_equal_draws() -> None:
    seed_everything(7)
    first = draws()
    seed_everything(7)
    assert draws() == first
    seed_everything(8)
    assert draws() != first


def test_a_state_is_gone_on_from() -> None:
    seed_everything(7)
    draws()
    state = get_rng_state()
    following = [draws() for _ in range(3)]
    seed_everything(0)
    set_rng_state(state)
    assert [draws() for _ in range(3)] == following


def test_mixed_seeds_do_not_collide() -> None:
    seeds = {mix_seed(a, b) for a in range(30) for b in range(30)}
    assert len(seeds) == 900
    assert mix_seed(1, 2) == mix_seed(1, 2)
