import torch


class SegmentationMetrics:
    def __init__(self, num_classes, ignore_index=255):
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.mat = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, preds, gts):
        keep = gts != self.ignore_index
        idx = gts[keep] * self.num_classes + preds[keep]
        self.mat += torch.bincount(idx, minlength=self.num_classes**2).view(self.num_classes, -1)

    def compute(self):
        tp = self.mat.diag().float()
        iou = tp / (self.mat.sum(0) + self.mat.sum(1) - tp).clamp(min=1)
        return {"miou": iou.mean().item(), "acc": (tp.sum() / self.mat.sum().clamp(min=1)).item()}

    def reset(self):
        self.mat.zero_()
