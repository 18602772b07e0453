"""Direct preference optimization: learn from pairs of a chosen and a rejected answer.

    L = mean over pairs of  -log sigmoid(beta * margin),   margin =
        log p(chosen) / p_ref(chosen) - log p(rejected) / p_ref(rejected)

Log-probabilities are sums over the tokens of the answer, the prompt left out
(`sequence_log_probs`). At the start the policy equals the reference and the loss is
ln 2. `label_smoothing` is the share of pairs that are thought to be swapped.

Paper: Rafailov et al., 2023, https://arxiv.org/abs/2305.18290
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DPOLoss(nn.Module):
    """Preference loss on sequence log-probabilities.

    Args:
        beta: How closely the policy is held to the reference, above 0.
        label_smoothing: Share of swapped pairs, in [0, 0.5).
    """

    def __init__(self, *, beta: float = 0.1, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if beta <= 0:
            raise ValueError(f"beta must be above 0, got {beta}")
        if not 0 <= label_smoothing < 0.5:
            raise ValueError(f"label_smoothing must be in [0, 0.5): {label_smoothing}")
        self.beta = beta
        self.label_smoothing = label_smoothing

    def forward(
        self,
        chosen: Tensor,
        rejected: Tensor,
        reference_chosen: Tensor,
        reference_rejected: Tensor,
    ) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            chosen: log p of the chosen answers under the policy `(B,)`.
            rejected: log p of the rejected answers under the policy `(B,)`.
            reference_chosen: log p of the chosen under the frozen reference `(B,)`.
            reference_rejected: log p of the rejected under the reference `(B,)`.

        Raises:
            ValueError: The shapes differ, and would broadcast without a word.
        """
        shapes = [
            tuple(x.shape)
            for x in (chosen, rejected, reference_chosen, reference_rejected)
        ]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"shapes differ: {shapes}")
        dtype = torch.promote_types(chosen.dtype, torch.float32)
        margin = chosen.to(dtype) - rejected.to(dtype)
        reference = reference_chosen.to(dtype) - reference_rejected.to(dtype)
        # The log-odds of the wrong order: softplus(x) is -log sigmoid(-x).
        odds = -self.beta * (margin - reference.detach())
        loss = F.softplus(odds)
        if self.label_smoothing > 0:
            swapped = F.softplus(-odds)
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * swapped
        return loss.sum() / max(loss.numel(), 1)


def sequence_log_probs(
    logits: Tensor, tokens: Tensor, ignore_index: int = -100
) -> Tensor:
    """Sum the log-probabilities of answers, `(B,)` in float32 or wider.

    Args:
        logits: Scores `(B, L, V)`; those of position i judge token i + 1.
        tokens: Labels `(B, L)`, int64, with `ignore_index` on prompt and padding.
        ignore_index: Label of tokens that take no part.
    """
    logits = logits[:, :-1].to(torch.promote_types(logits.dtype, torch.float32))
    loss = F.cross_entropy(
        logits.transpose(1, 2),
        tokens[:, 1:],
        ignore_index=ignore_index,
        reduction="none",
    )
    return -loss.sum(dim=1)
