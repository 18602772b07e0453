"""`make demo` does what it shows: a project is scaffolded, proved, broken, and the break is found."""

import subprocess
import sys
from pathlib import Path


def test_the_demonstration_scaffolds_proves_breaks_and_diagnoses(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "dlcoder", "demo", "--keep", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    headings = [line for line in result.stdout.splitlines() if line.startswith("[")]
    assert [heading.split("] ")[1].split(":")[0] for heading in headings][1:3] == ["scaffold_project", "smoke_test"]
    assert "running torchrun" in result.stdout
    assert "PASSED" in result.stdout
    diagnosis = result.stdout.split("diagnose_log: both ranks' logs")[1]
    assert "Target 5 is out of bounds" in diagnosis
    assert "cuda-index-out-of-range" in diagnosis
    assert (tmp_path / "demo" / "classifier" / "train.py").exists()
