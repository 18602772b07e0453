"""Cox's partial likelihood."""

import torch
from torch import Tensor


def proportional_hazards(risk: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Negative partial log-likelihood (Breslow) of risks (B,), times (B,) and events (B,), 1 where observed."""
    order = torch.argsort(time, descending=True)
    risk, event = risk[order].float(), event[order].float()
    at_risk = torch.logcumsumexp(risk, dim=0)
    return ((at_risk - risk) * event).sum() / event.sum().clamp_min(1)
