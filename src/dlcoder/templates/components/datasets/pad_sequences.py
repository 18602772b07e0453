"""Batches of token sequences of different lengths.

Padding goes to the right, and its targets do not count. A causal model needs nothing
else: what is right of a token is hidden from it. One that sees both sides must not
attend to padding, and gets the mask:

    F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])

Shapes: inputs (B, L), int64, L the longest; targets (B, L), or (B,) where a sequence
has one; mask (B, L), bool, True where there is a token.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_sequences(
    samples: Sequence[tuple[Tensor, Tensor]],
    *,
    padding: int = 0,
    ignore_index: int = -100,
    multiple_of: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Make a batch of (inputs (n,), targets (n,) or ()).

    Bind options by `functools.partial`: workers that are spawned cannot get a lambda.

    Args:
        samples: Inputs and targets of each sequence.
        padding: The token that fills inputs up.
        ignore_index: What fills targets up: the loss must not count it.
        multiple_of: L is rounded up to a multiple of this: 8 suits tensor cores, and
            64 or more spares a compiled model most of the lengths.

    Returns:
        Inputs, targets, and the mask.

    Raises:
        ValueError: A sequence has another number of targets than of tokens.
    """
    lengths = [len(inputs) for inputs, _ in samples]
    longest = -(-max(lengths) // multiple_of) * multiple_of
    each = samples[0][1].ndim == 0
    for inputs, targets in samples:
        if (targets.ndim == 0) != each or (not each and len(targets) != len(inputs)):
            raise ValueError(
                f"A sequence has inputs {tuple(inputs.shape)} and targets "
                f"{tuple(targets.shape)}: one target a token, or one a sequence."
            )
    inputs = _fill([inputs for inputs, _ in samples], longest, padding)
    labels = [targets for _, targets in samples]
    targets = torch.stack(labels) if each else _fill(labels, longest, ignore_index)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return inputs, targets, mask


def _fill(sequences: Sequence[Tensor], length: int, value: int) -> Tensor:
    filled = sequences[0].new_full((len(sequences), length), value)
    for row, sequence in zip(filled, sequences, strict=True):
        row[: len(sequence)] = sequence
    return filled
