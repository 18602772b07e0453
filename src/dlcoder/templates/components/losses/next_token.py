"""Next-token cross entropy that never holds the logits of the whole batch.

    L = mean over valid tokens of  -log softmax(logits)[target] + z * logsumexp^2
    logits = hidden @ weight.T

The output projection is applied to a chunk of tokens at a time, and each chunk's
gradient is computed at once, so that memory is `chunk * V` instead of `tokens * V`. The
z term keeps the logits from drifting; it helps in bf16. Targets are already shifted:
the target of position i is token i + 1.

References: Wijmans et al., 2024, https://arxiv.org/abs/2411.09009; Chowdhery et al.,
2022 (z loss), https://arxiv.org/abs/2204.02311
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class NextTokenLoss(nn.Module):
    """Chunked projection and cross entropy.

    Args:
        chunk: Tokens whose logits are held at once.
        z_loss: Weight of the squared log-partition; 0 turns it off.
        ignore_index: Target value of tokens that take no part.
    """

    def __init__(
        self, *, chunk: int = 1024, z_loss: float = 0.0, ignore_index: int = -100
    ) -> None:
        super().__init__()
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk}")
        self.chunk = chunk
        self.z_loss = z_loss
        self.ignore_index = ignore_index

    def forward(self, hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            hidden: Last hidden states `(..., D)`.
            weight: Output projection `(V, D)`; may be the embedding.
            target: Token indices `(...)`, int64.

        Raises:
            ValueError: There is not one target a hidden state.
            RuntimeError: A target is neither a token nor `ignore_index`.
        """
        if target.shape != hidden.shape[:-1]:
            raise ValueError(
                f"shapes do not fit: {tuple(hidden.shape)} and {tuple(target.shape)}"
            )
        hidden, target = hidden.flatten(0, -2), target.flatten()
        loss: Tensor = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, weight, target, self.chunk, self.z_loss, self.ignore_index
        )
        return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Cross entropy of a projection; forward already computes both gradients."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        chunk: int,
        z_loss: float,
        ignore_index: int,
    ) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        valid = target != ignore_index
        count = valid.sum().clamp_min(1)
        loss = torch.zeros((), dtype=wide, device=hidden.device)
        # Sums over tokens, divided by their count at the end: each token's share of the
        # mean would vanish in float16.
        hidden_grad = torch.zeros_like(hidden)
        weight_grad = torch.zeros_like(weight, dtype=wide)
        for start in range(0, len(target), chunk):
            part = slice(start, start + chunk)
            keep = valid[part].unsqueeze(1)
            index = target[part].unsqueeze(1).where(keep, 0)
            logits = F.linear(hidden[part], weight).to(wide)
            log_z = logits.logsumexp(dim=1, keepdim=True)
            token_loss = log_z - logits.gather(1, index) + z_loss * log_z.square()
            loss += token_loss.where(keep, 0).sum()

            # In the memory of the logits, which are not needed any more.
            grad = logits.sub_(log_z).exp_().mul_(1 + 2 * z_loss * log_z)
            grad.scatter_add_(1, index, grad.new_full(index.shape, -1.0))
            grad.mul_(keep)
            hidden_grad[part] = grad.to(weight.dtype) @ weight
            weight_grad.addmm_(grad.T, hidden[part].to(wide))
            del logits, grad  # before those of the next chunk are made
        weight_grad = weight_grad.div_(count).to(weight.dtype)
        ctx.save_for_backward(hidden_grad, weight_grad, count)
        return loss / count

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad, count = ctx.saved_tensors  # type: ignore[attr-defined]
        # Of one element, not a scalar: products are made in its type, then rounded.
        upstream = grad_outputs[0].view(1)
        hidden_grad = (hidden_grad * (upstream / count)).to(hidden_grad.dtype)
        weight_grad = (weight_grad * upstream).to(weight_grad.dtype)
        return hidden_grad, weight_grad, None, None, None, None
