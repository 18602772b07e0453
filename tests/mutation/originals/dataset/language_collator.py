from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class DataCollatorForLM:
    pad_token_id: int = 0
    label_pad: int = -100

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(f["input_ids"]) for f in features)
        ids, mask, labels = [], [], []
        for f in features:
            n = longest - len(f["input_ids"])
            ids.append(list(f["input_ids"]) + [self.pad_token_id] * n)
            mask.append([1] * len(f["input_ids"]) + [0] * n)
            labels.append(list(f["labels"]) + [self.label_pad] * n)
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}
