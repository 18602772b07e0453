import torch
import torch.nn.functional as F


class SimSiamLoss(torch.nn.Module):
    """Negative cosine similarity; z1, z2 are projections (stop-gradient), p1, p2 predictions."""

    def forward(self, p1, p2, z1, z2):
        return -(F.cosine_similarity(p1, z2.detach()).mean() + F.cosine_similarity(p2, z1.detach()).mean()) / 2
