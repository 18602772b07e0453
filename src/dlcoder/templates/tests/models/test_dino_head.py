"""Tests of DINO's head."""

import torch
from torch import nn

from dlcoder.templates.components.models.dino_head import DINOHead

FEATURES = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))


def test_logits_are_cosines_with_the_prototypes() -> None:
    logits = DINOHead(8, 32, hidden=16, bottleneck=4)(FEATURES)
    assert logits.shape == (3, 32)
    assert logits.abs().max() <= 1 + 1e-6


def test_prototypes_keep_their_length() -> None:
    model = DINOHead(8, 32, hidden=16, bottleneck=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.prototypes.weight.detach().clone()
    model(FEATURES)[:, 0].sum().backward()
    optimizer.step()
    after = model.prototypes.weight
    assert not torch.equal(after[0], before[0])
    torch.testing.assert_close(after.norm(dim=1), torch.ones(32))


def test_with_batch_norm_what_all_features_share_is_not_seen() -> None:
    torch.manual_seed(0)
    features = 100 + torch.randn(64, 8)
    for norm, low, high in ((False, 0.9, 1.0), (True, 0.0, 0.5)):
        head = DINOHead(8, 4, hidden=64, bottleneck=8, norm=norm)
        directions = nn.functional.normalize(head.layers(features), dim=1)
        alike = (directions @ directions.T).abs().mean()
        assert low < alike < high


def test_a_narrow_head_starts_like_a_wide_one() -> None:
    torch.manual_seed(0)
    for hidden in (64, 1024):
        output = DINOHead(hidden, 4, hidden=hidden).layers(torch.randn(64, hidden))
        assert 0.2 < output.std() < 0.6
