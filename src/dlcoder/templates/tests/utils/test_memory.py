"""Tests of the memory reading."""

import sys

import pytest
import torch

from dlcoder.templates.components.utils.memory import peak_memory_mb


def test_the_peak_grows_with_what_is_used() -> None:
    before = peak_memory_mb(torch.device("cpu"))
    block = torch.ones(64 * 2**20, dtype=torch.uint8)
    assert peak_memory_mb(torch.device("cpu")) >= before > 10
    assert int(block[-1]) == 1


def test_where_a_process_cannot_tell_it_is_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory_mb(torch.device("cpu")) == 0
