"""What the name of a metric says about it."""

import re

_LOWER = re.compile(
    r"loss|perplexity|crossentropy|divergence|(^|[^a-z])(err|errors?|error_rate|ppl|r?mse|mae|mape|fid|kid|fvd|wer|cer|ter"
    r"|nll|bpb|bpc|ece|eer|epe|lpips|brier|distance|time|latency|memory)($|[^a-z])",
    re.IGNORECASE,
)


def lower_is_better(name: str) -> bool:
    """Whether less of a metric is better, by its name: `val_mse`, not `accuracy`."""
    return bool(_LOWER.search(name))
