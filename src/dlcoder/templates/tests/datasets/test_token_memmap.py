"""Tests of memory-mapped tokens."""

import pickle
from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.token_memmap import (
    TokenMemmap,
    write_tokens,
)


@pytest.mark.parametrize("vocab_size", [1000, 100_000])
def test_every_token_but_the_first_is_a_target_once(
    tmp_path: Path, vocab_size: int
) -> None:
    tokens = [(7 * n) % vocab_size for n in range(1, 26)]
    write_tokens(
        tmp_path / "a.bin", [tokens[:9], [], tokens[9:]], vocab_size=vocab_size
    )
    data = TokenMemmap(tmp_path / "a.bin", length=8)
    assert len(data) == 3
    assert torch.cat([data[i][0] for i in range(3)]).tolist() == tokens[:-1]
    assert torch.cat([data[i][1] for i in range(3)]).tolist() == tokens[1:]
    assert data[0][0].dtype == torch.int64
    with pytest.raises(IndexError):
        data[3]


def test_large_tokens_survive(tmp_path: Path) -> None:
    write_tokens(tmp_path / "a.bin", [[65_536, 70_000, 1]], vocab_size=70_001)
    assert TokenMemmap(tmp_path / "a.bin", length=2)[0][1].tolist() == [70_000, 1]


def test_a_cut_file_is_an_error(tmp_path: Path) -> None:
    write_tokens(tmp_path / "a.bin", [range(20)], vocab_size=20)
    (tmp_path / "a.bin").write_bytes((tmp_path / "a.bin").read_bytes()[:-2])
    with pytest.raises(ValueError, match="19 tokens, not 20"):
        TokenMemmap(tmp_path / "a.bin", length=4)


def test_too_little_text_is_an_error(tmp_path: Path) -> None:
    write_tokens(tmp_path / "a.bin", [range(4)], vocab_size=20)
    with pytest.raises(ValueError, match="too few"):
        TokenMemmap(tmp_path / "a.bin", length=4)


def test_tokens_outside_the_vocabulary_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside the vocabulary"):
        write_tokens(tmp_path / "a.bin", [[3, 20]], vocab_size=20)
    write_tokens(tmp_path / "a.bin", [range(9)], vocab_size=9)
    meta = (
        (tmp_path / "a.json").read_text().replace('"vocab_size": 9', '"vocab_size": 5')
    )
    (tmp_path / "a.json").write_text(meta)
    with pytest.raises(ValueError, match="token 8"):
        TokenMemmap(tmp_path / "a.bin", length=8)[0]


def test_it_travels_to_workers_without_its_file(tmp_path: Path) -> None:
    write_tokens(tmp_path / "a.bin", [range(50_000)], vocab_size=50_000)
    data = TokenMemmap(tmp_path / "a.bin", length=8)
    first = data[0][0]
    assert len(pickle.dumps(data)) < 2000
    assert torch.equal(pickle.loads(pickle.dumps(data))[0][0], first)
    assert data.fingerprint() == pickle.loads(pickle.dumps(data)).fingerprint()
