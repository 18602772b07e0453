"""What a printed name measures: loss, accuracy, learning rate, gradient norm, times, memory, steps."""

import re
from functools import lru_cache

_LOSS = re.compile(
    r"loss|nll|\bkld?\b|elbo|perplexity|\bppl\b|\bce\b|\bmse\b|\bmae\b|rpn_box|rcnn_box|损失|_cls$|_box$|^l_\w+$", re.I
)
_ACC = re.compile(
    r"acc|top.?[15]\b|prec|\bm?ap(?:\b|@|\d)|m?iou|dice|\bf1|auc|bleu|rouge|recall|psnr|ssim|em$|hmean|score|精度|准确率",
    re.I,
)
_ERR = re.compile(r"\berr|error|\bwer\b|\bcer\b|\bfid\b|rmse", re.I)
_LR = re.compile(r"^(?:.*[ /_.])?(?:lr|learning[ _-]?rate|train_lr|base_lr|lr-\w+|学习率)$", re.I)
_NORM = re.compile(r"g(?:rad)?(?:ient)?[ _-]?norm|gnorm|grad_global_norm", re.I)
_SCALE = re.compile(r"loss[ _-]?scale|scaler?$|grad_scale", re.I)
_DATA = re.compile(
    r"^(?:time_)?data(?:[_ ]?time)?$|data_time|data loading|dataload|time_data|batch_generator|load_time|reader_cost",
    re.I,
)
_TIME = re.compile(
    r"^(?:iter_|batch_|step_|train_|total_)?time(?:_iter|/iter)?$|elapsed time per iteration|^batch$|iter_time"
    r"|step_time|batch_cost",
    re.I,
)
_MEMORY = re.compile(r"\bmem|memory|max_mem|gpu_mem|\brss\b|显存|内存", re.I)
_STEP = re.compile(r"^(?:iter|iteration|step|global_step|epoch|itr|it|num_updates|batch|轮次)s?$", re.I)

_KINDS = (
    ("scale", _SCALE),
    ("norm", _NORM),
    ("lr", _LR),
    ("data_time", _DATA),
    ("time", _TIME),
    ("memory", _MEMORY),
    ("loss", _LOSS),
    ("error", _ERR),
    ("accuracy", _ACC),
    ("step", _STEP),
)


@lru_cache(maxsize=8192)
def kind_of(name: str) -> str:
    """What a printed name measures, or an empty string."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "")


def number(text: str) -> float:
    """The value of a printed number; raises `ValueError` for other text."""
    return float(text.lower().replace("infinity", "inf"))
