"""Losses that look beyond the own rank, on two real ones: the gradient is that of the whole batch."""

import os

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from dlcoder.templates.catalogue import catalogue
from dlcoder.templates.components.losses.dino import DINOLoss
from dlcoder.templates.components.losses.info_nce import InfoNCELoss
from dlcoder.templates.components.losses.nt_xent import NTXentLoss

VIEWS = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
LOSSES = {"nt_xent": NTXentLoss(temperature=0.5), "info_nce": InfoNCELoss(temperature=0.5)}


def test_every_loss_that_meets_other_ranks_is_tried_here():
    """DINO's center is, further down; what takes the meeting from a sibling is tried itself."""
    meets = ("torch.distributed", "import gather_pair")
    found = [c for c in catalogue().values() if c.kind == "losses" and any(m in c.path.read_text() for m in meets)]
    assert {c.id.removeprefix("losses/") for c in found} == {*LOSSES, "dino"}


def gradient(model, loss, views):
    model.zero_grad()
    loss(*(model(view) for view in views)).backward()
    return [p.grad.clone() for p in model.parameters()]


def encoder():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4))


def test_contrast_over_two_ranks_has_the_gradient_of_one_process(tmp_path):
    expected = {name: gradient(encoder(), loss, VIEWS) for name, loss in LOSSES.items()}
    spawn(_rank, args=(str(tmp_path / "meeting"), expected), nprocs=2)


def _rank(rank, meeting, expected):
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    mine = VIEWS[:, 3 * rank : 3 * rank + 3]
    for name, loss in LOSSES.items():
        found = gradient(DistributedDataParallel(encoder()), loss, mine)
        torch.testing.assert_close(found, expected[name], rtol=1e-5, atol=1e-6)
    loss = DINOLoss(5, center_momentum=0.0)
    loss(mine, mine)
    torch.testing.assert_close(loss.center, VIEWS.mean(dim=(0, 1)))
    # Gloo's threads can hang or abort a process that ends in the ordinary way.
    os._exit(0)
