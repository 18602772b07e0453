"""Tests of text as bytes."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.text_files import SEPARATOR, ByteText


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.txt").write_text("dritte Zeile", encoding="utf-8")
    (tmp_path / "a.txt").write_text("Grüße, ", encoding="utf-8")
    (tmp_path / "c.md").write_text("not this")
    return tmp_path


def test_the_text_comes_back(folder: Path) -> None:
    data = ByteText(folder, length=4)
    inputs = torch.cat([data[i][0] for i in range(len(data))])
    targets = torch.cat([data[i][1] for i in range(len(data))])
    assert data.decode(inputs) == f"Grüße, {chr(SEPARATOR)}dritte Zei"
    assert torch.equal(inputs[1:], targets[:-1])
    assert int(targets.max()) < data.vocab_size


def test_the_pattern_chooses_the_files(folder: Path) -> None:
    data = ByteText(folder, length=7, pattern="*.md")
    assert data.decode(data[0][0]) == "not thi"


def test_too_little_text_is_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"0 files of \*\.rst"):
        ByteText(folder, length=4, pattern="*.rst")


def test_the_fingerprint_changes_with_the_text(folder: Path) -> None:
    before = ByteText(folder, length=4).fingerprint()
    (folder / "a.txt").write_text("Gruss, ")
    assert ByteText(folder, length=4).fingerprint() != before
