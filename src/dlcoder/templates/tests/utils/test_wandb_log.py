"""Tests of the log that Weights & Biases shows, without an account."""

from pathlib import Path
from typing import Any

from dlcoder.templates.components.utils.jsonl import JsonlLog
from dlcoder.templates.components.utils.wandb_log import WandbLog, start_run


class Sent:
    """A run that keeps what it is sent."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.steps: dict[str, str | None] = {}

    def define_metric(
        self, name: str, *, step_metric: str | None = None, hidden: bool = False
    ) -> None:
        self.steps[name] = step_metric

    def log(self, record: dict[str, Any]) -> None:
        self.records.append(record)


def test_numbers_are_sent_with_the_step_of_the_record(tmp_path: Path) -> None:
    run: Any = Sent()
    log = WandbLog(JsonlLog(tmp_path / "log.jsonl"), run, "train")
    log.write({"step": 3, "loss": 0.5, "note": "a"})
    assert run.records == [{"step": 3, "train/loss": 0.5}]
    assert run.steps["train/*"] == "step"
    assert log.read() == [{"step": 3, "loss": 0.5, "note": "a"}]
    log.rewind(lambda record: False)
    assert log.read() == []


def test_a_folder_goes_on_with_its_run_offline(tmp_path: Path) -> None:
    for _ in range(2):
        run = start_run(tmp_path, project="tests", settings={"lr": 0.1}, mode="offline")
        log = WandbLog(JsonlLog(tmp_path / "log.jsonl"), run, "train")
        log.write({"step": 1, "loss": 0.5})
        assert run.config["lr"] == 0.1
        run.finish()
    names = {path.name.split("-", 3)[3] for path in tmp_path.glob("wandb/offline-*")}
    assert names == {run.id}
