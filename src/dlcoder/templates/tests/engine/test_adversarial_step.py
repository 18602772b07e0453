"""Tests of one update of two networks."""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.adversarial_step import AdversarialStep
from dlcoder.templates.components.engine.run_state import Stateful
from dlcoder.templates.components.engine.schedule import WarmupSchedule


class Recorded:
    """An update that tells when it is made."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls
        self.model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.schedule = WarmupSchedule(
            optimizer, peak=0.1, total_updates=9, warmup_updates=0
        )

    def __call__(self, window: object) -> dict[str, float]:
        self.calls.append(self.name)
        loss = float(len(self.calls))
        return {"loss_total": loss, f"loss_{self.name}": loss, "grad_norm": 10 * loss}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "schedule": self.schedule}


def test_the_discriminator_is_first_and_one_record_tells_of_both() -> None:
    calls: list[str] = []
    discriminator, generator = (
        Recorded(name, calls) for name in ("discriminator", "generator")
    )
    step = AdversarialStep(discriminator=discriminator, generator=generator)
    window: list[tuple[Tensor, ...]] = [(torch.zeros(2),)]
    assert step(window) == {
        "loss_total": 3.0,
        "loss_generator": 2.0,
        "loss_discriminator": 1.0,
        "grad_norm": 20.0,
        "grad_norm_discriminator": 10.0,
    }
    assert calls == ["discriminator", "generator"]
    assert step.schedule is generator.schedule


def test_a_checkpoint_has_the_state_of_both() -> None:
    discriminator, generator = (Recorded(name, []) for name in ("d", "g"))
    parts = AdversarialStep(discriminator=discriminator, generator=generator).parts()
    assert parts["model"] is generator.model
    assert parts["discriminator_model"] is discriminator.model
    assert parts["discriminator_schedule"] is discriminator.schedule
