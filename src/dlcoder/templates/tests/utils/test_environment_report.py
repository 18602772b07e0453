"""Tests of the report of the environment."""

import json
from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.utils.environment_report import (
    cpu_limit,
    environment_report,
    memory_limit,
)


def test_it_says_what_is_installed_and_keeps_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    monkeypatch.setenv("API_TOKEN", "hidden")
    monkeypatch.setenv("TORCH_HUB_TOKEN", "hidden")
    report = environment_report()
    assert report["packages"]["torch"] == torch.__version__
    assert report["environment"]["NCCL_DEBUG"] == "INFO"
    assert report["cpus"] >= 1
    assert "hidden" not in json.dumps(report["environment"])


def test_limits_of_a_container_are_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2**31}\n")
    assert (cpu_limit(tmp_path), memory_limit(tmp_path)) == (1.5, 2048)


def test_limits_of_an_older_container_are_read(tmp_path: Path) -> None:
    for name, value in (
        ("cpu/cpu.cfs_quota_us", 400000),
        ("cpu/cpu.cfs_period_us", 100000),
        ("memory/memory.limit_in_bytes", 2**31),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    assert (cpu_limit(tmp_path), memory_limit(tmp_path)) == (4.0, 2048)


def test_no_limit_is_none(tmp_path: Path) -> None:
    assert cpu_limit(tmp_path) is memory_limit(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cpu_limit(tmp_path) is memory_limit(tmp_path) is None
