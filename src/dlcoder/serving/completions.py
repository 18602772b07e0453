"""What a client offers while someone types an argument of a prompt or of a resource's address."""

from collections.abc import Mapping, Sequence

from mcp.types import Completion, PromptReference, ResourceTemplateReference

from dlcoder.serving.prompts import PROMPTS
from dlcoder.serving.resources import RUN_FILES, resource_families, values_of

_MOST = 100


def complete(
    ref: PromptReference | ResourceTemplateReference, argument: str, typed: str, chosen: Mapping[str, str]
) -> Completion:
    """The values that fit what was typed: those that begin with it, then those that contain it."""
    return _fitting(_values(ref, argument, chosen), typed)


def _values(
    ref: PromptReference | ResourceTemplateReference, argument: str, chosen: Mapping[str, str]
) -> Sequence[str]:
    if isinstance(ref, PromptReference):
        blanks = (blank for prompt in PROMPTS if prompt.name == ref.name for blank in prompt.arguments)
        return next((blank.choices() for blank in blanks if blank.name == argument), ())
    if ref.uri == RUN_FILES:
        return ()  # whoever is to read it has been given the address
    known = any(family.uri == ref.uri and f"{{{argument}}}" in family.uri for family in resource_families())
    return values_of(argument, chosen) if known else ()


def _fitting(values: Sequence[str], typed: str) -> Completion:
    wanted = typed.lower()
    starts = [value for value in values if value.lower().startswith(wanted)]
    contains = [value for value in values if wanted in value.lower() and value not in starts]
    found = [*starts, *contains]
    return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)
