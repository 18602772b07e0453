"""Tests of batches of sequences."""

import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from dlcoder.templates.components.datasets.pad_sequences import pad_sequences

Sample = tuple[Tensor, Tensor]


def sequence(length: int) -> Sample:
    """Tokens that begin with 0, the padding's own, and go on counting."""
    tokens = torch.arange(length + 1)
    return tokens[:-1], tokens[1:]


def test_what_is_filled_up_does_not_count() -> None:
    inputs, targets, mask = pad_sequences([sequence(3), sequence(1)], padding=9)
    assert inputs.tolist() == [[0, 1, 2], [0, 9, 9]]
    assert targets.tolist() == [[1, 2, 3], [1, -100, -100]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]
    assert inputs.dtype == targets.dtype == torch.int64


def test_a_token_that_equals_the_padding_still_counts() -> None:
    _, _, mask = pad_sequences([sequence(2), (torch.zeros(2).long(), torch.ones(2))])
    assert bool(mask.all())


def test_the_loss_is_that_of_the_sequences_alone() -> None:
    samples = [sequence(length) for length in (5, 2, 3)]
    table = torch.randn(7, 7, generator=torch.Generator().manual_seed(0))
    inputs, targets, _ = pad_sequences(samples)
    together = F.cross_entropy(table[inputs].flatten(0, 1), targets.flatten())
    alone = torch.cat(
        [F.cross_entropy(table[x], y, reduction="none") for x, y in samples]
    )
    torch.testing.assert_close(together, alone.mean())


def test_attention_under_the_mask_is_that_of_the_sequence_alone() -> None:
    inputs, _, mask = pad_sequences([sequence(5), sequence(2)])
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    values = features[inputs][:, None]
    attended = F.scaled_dot_product_attention(
        values, values, values, attn_mask=mask[:, None, None, :]
    )
    short = values[1:, :, :2]
    alone = F.scaled_dot_product_attention(short, short, short)
    torch.testing.assert_close(attended[1:, :, :2], alone)


@pytest.mark.parametrize(("lengths", "expected"), [((5, 3), 8), ((8, 1), 8), ((0,), 0)])
def test_the_length_is_rounded_up(lengths: tuple[int, ...], expected: int) -> None:
    samples = [sequence(length) for length in lengths]
    inputs, targets, mask = pad_sequences(samples, multiple_of=8)
    assert inputs.shape == targets.shape == mask.shape == (len(lengths), expected)
    assert mask.sum(dim=1).tolist() == list(lengths)


def test_one_target_a_sequence_stays_one() -> None:
    samples = [(torch.arange(length), torch.tensor(length)) for length in (2, 4)]
    inputs, targets, _ = pad_sequences(samples)
    assert inputs.shape == (2, 4)
    assert targets.tolist() == [2, 4]


def test_inputs_and_targets_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"inputs \(3,\) and targets \(2,\)"):
        pad_sequences([(torch.arange(3), torch.arange(2))])
    with pytest.raises(ValueError, match="one target a token, or one a sequence"):
        pad_sequences([sequence(3), (torch.arange(3), torch.tensor(1))])


def test_a_loader_takes_it_with_its_options() -> None:
    data = [sequence(length) for length in (1, 4, 2, 3)]
    # Pickled, as for workers that are spawned.
    bound = partial(pad_sequences, padding=5, multiple_of=4)
    collate = pickle.loads(pickle.dumps(bound))
    loader: DataLoader[Sample] = DataLoader(
        data,  # type: ignore[arg-type]
        batch_size=3,
        collate_fn=collate,
    )
    shapes = [tuple(inputs.shape) for inputs, _, _ in loader]
    assert shapes == [(3, 4), (1, 4)]
