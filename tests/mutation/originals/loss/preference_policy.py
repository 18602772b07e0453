from dataclasses import dataclass

import torch.nn.functional as F


@dataclass
class DPOConfig:
    beta: float = 0.1
    label_smoothing: float = 0.0


class DPOLoss:
    def __init__(self, config: DPOConfig = DPOConfig()):
        self.cfg = config

    def __call__(self, policy_chosen_logps, policy_rejected_logps, reference_chosen_logps, reference_rejected_logps):
        pi = policy_chosen_logps - policy_rejected_logps
        ref = reference_chosen_logps - reference_rejected_logps
        h = self.cfg.beta * (pi - ref)
        ls = self.cfg.label_smoothing
        losses = -F.logsigmoid(h) * (1 - ls) - F.logsigmoid(-h) * ls
        return losses.mean()
