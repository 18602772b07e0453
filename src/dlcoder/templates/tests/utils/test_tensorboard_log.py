"""Tests of the log that TensorBoard shows."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlcoder.templates.components.utils.jsonl import JsonlLog
from dlcoder.templates.components.utils.tensorboard_log import TensorBoardLog


def make(folder: Path) -> TensorBoardLog:
    return TensorBoardLog(JsonlLog(folder / "log.jsonl"), folder / "curves")


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    """What TensorBoard shows."""
    events = EventAccumulator(str(folder / "curves")).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_every_record_is_kept_and_shown_at_its_step(tmp_path: Path) -> None:
    log = make(tmp_path)
    records = [{"step": step, "loss": step / 2, "note": "a"} for step in (1, 3)]
    for record in records:
        log.write(record)
        # It is on the disk already: the run may be killed now.
        assert curve(tmp_path, "loss")[-1] == (record["step"], record["loss"])
    assert log.read() == records


def test_what_a_resumed_run_repeats_is_shown_once(tmp_path: Path) -> None:
    killed = make(tmp_path)
    for step in range(1, 6):
        killed.write({"step": step, "loss": 1.0})
    resumed = make(tmp_path)
    resumed.rewind(lambda record: record["step"] <= 3)
    resumed.write({"step": 4, "loss": 2.0})
    assert curve(tmp_path, "loss") == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)]
    assert [record["step"] for record in resumed.read()] == [1, 2, 3, 4]


def test_a_new_run_hides_nothing(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.rewind(lambda record: True)
    log.write({"step": 0, "loss": 1.0})
    assert curve(tmp_path, "loss") == [(0, 1.0)]
