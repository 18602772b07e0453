"""What several tasks settle about a loss that they share."""

from collections.abc import Mapping

from dlcoder.templates.bindings import Binding, Fixed

SUMMED_CROSS_ENTROPY: Mapping[str, Binding] = {"reduction": Fixed('"sum"'), "z_loss": Fixed("None")}
"""A sum, which objectives divide by what counts in all micro-batches and on all ranks."""
PLAIN_CROSS_ENTROPY: Mapping[str, Binding] = {
    **SUMMED_CROSS_ENTROPY,
    "class_weights": Fixed("None"),
    "label_smoothing": Fixed("0.0"),
}
"""The same without any option."""
