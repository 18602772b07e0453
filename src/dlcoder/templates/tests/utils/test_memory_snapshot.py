"""Tests of the record of GPU memory, with a recorder in the place of the GPU's."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.utils.memory_snapshot import MemorySnapshot


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the recorder was told."""
    told: list[dict[str, object]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    memory = torch.cuda.memory
    monkeypatch.setattr(memory, "_record_memory_history", lambda **k: told.append(k))
    monkeypatch.setattr(
        memory, "_dump_snapshot", lambda path: Path(path).write_bytes(b"snapshot")
    )
    return told


def test_memory_that_runs_out_leaves_a_file(
    tmp_path: Path, calls: list[dict[str, object]]
) -> None:
    with (
        pytest.raises(torch.cuda.OutOfMemoryError),
        MemorySnapshot(tmp_path / "run", rank=3, max_entries=7),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    assert (tmp_path / "run/memory_rank3.pickle").read_bytes() == b"snapshot"
    assert calls == [{"max_entries": 7}, {"enabled": None}]


def test_other_errors_and_a_good_end_leave_none(
    tmp_path: Path, calls: list[dict[str, object]]
) -> None:
    with pytest.raises(ValueError, match="other"), MemorySnapshot(tmp_path, rank=0):
        raise ValueError("other")
    with MemorySnapshot(tmp_path, rank=0):
        pass
    assert not list(tmp_path.iterdir())
    assert calls[-1] == {"enabled": None}


@pytest.mark.parametrize(("gpu", "enabled"), [(False, True), (True, False)])
def test_without_a_gpu_or_a_wish_nothing_is_recorded(
    tmp_path: Path,
    calls: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    gpu: bool,
    enabled: bool,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    with MemorySnapshot(tmp_path, rank=0, enabled=enabled) as snapshot:
        assert snapshot.write() is None
    assert not calls and not list(tmp_path.iterdir())
