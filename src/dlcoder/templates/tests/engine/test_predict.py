"""Tests of predictions over a dataset."""

import torch
from torch import nn

from dlcoder.templates.components.engine.predict import predict
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_the_model_is_in_evaluation_mode_meanwhile_and_learns_nothing() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))
    features, labels = torch.ones(4, 2), torch.zeros(4)
    results = list(predict(model, [(features, labels)] * 2, world=ALONE))
    assert len(results) == 2
    assert model.training
    for outputs, batch in results:
        expected = model[0](features)
        # Autocast, where it is on, rounds.
        torch.testing.assert_close(outputs.float(), expected, rtol=1e-2, atol=1e-2)
        assert not outputs.requires_grad
        assert batch[1] is labels
