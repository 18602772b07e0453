"""Tests of the state of a run."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.run_state import RunState, write_atomically
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def make(settings: dict[str, Any], world: World = ALONE) -> RunState:
    return RunState(parts={"model": nn.Linear(2, 2)}, settings=settings, world=world)


def test_parts_and_random_states_come_back() -> None:
    saved, restored = make({}), make({})
    state = saved.collect()
    following = [random.random(), float(torch.rand(()))]
    restored.restore(state)
    assert [random.random(), float(torch.rand(()))] == following
    torch.testing.assert_close(
        restored.parts["model"].state_dict(), saved.parts["model"].state_dict()
    )


def test_another_run_is_refused() -> None:
    state = make({"train": {"lr": 0.1}}).collect()
    with pytest.raises(ValueError, match=r"train\.lr: 0\.1 -> 0\.2"):
        make({"train": {"lr": 0.2}}).restore(state)
    two = World(rank=0, size=2, device=ALONE.device)
    with pytest.raises(ValueError, match="1 process"):
        make({"train": {"lr": 0.1}}, two).restore(state)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    write_atomically(path, {"step": 1})

    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="space"):
        write_atomically(path, {"step": 2})
    monkeypatch.undo()
    assert torch.load(path, weights_only=True) == {"step": 1}
