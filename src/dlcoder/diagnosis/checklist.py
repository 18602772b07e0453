"""What to check for a symptom without a log: likeliest and cheapest first.

Each cause of the topic starts from its share; the context's words move it; its cheapest check enters the list. Where
one of several causes is at work and checks are independent, going by probability over cost finds it at the least
expected cost (Kalagnanam and Henrion 1990; Heckerman, Breese and Rommelse 1995).
"""

import difflib
import math
import re
from dataclasses import dataclass

from dlcoder.errors import UserError
from dlcoder.knowledge.causes import Verification, load_causes
from dlcoder.knowledge.checklists import Topic, load_cues, load_topics

MAX_CONTEXT = 20_000
_LEAST = 0.01


@dataclass(frozen=True, slots=True)
class CheckItem:
    """A check worth doing.

    Attributes:
        cause: The cause that it decides about.
        title: That cause in a few words.
        check: What to do.
        command: A command, or lines for the training script.
        expect: What either outcome means.
        cost: Seconds of a person and a machine.
        probability: How likely the cause is, given topic and context.
    """

    cause: str
    title: str
    check: str
    command: str
    expect: str
    cost: float
    probability: float


def make_checklist(topic: str, context: str | None = None, limit: int = 12) -> tuple[Topic, list[CheckItem]]:
    """List the checks for a symptom.

    Args:
        topic: One of the topics, or a common word for one, English or Chinese.
        context: What else is known, in any words.
        limit: The most items to return.

    Raises:
        UserError: The topic is unknown; the message names the nearest.
    """
    found = _find(topic)
    causes = load_causes()
    items = []
    for cause, probability in _posterior(found, context or "").items():
        check = min(causes[cause].verify, key=lambda each: each.cost)
        if probability >= _LEAST:
            items.append(_item(cause, causes[cause].title, check, probability))
    items.sort(key=lambda item: (-item.probability / item.cost, item.cause))
    return found, items[:limit]


def _item(cause: str, title: str, check: Verification, probability: float) -> CheckItem:
    return CheckItem(cause, title, check.action, check.command, check.expect, check.cost, round(probability, 3))


def _find(topic: str) -> Topic:
    topics = load_topics()
    wanted = re.sub(r"[\s\-]+", "_", topic.strip().lower())
    names = {name: each for each in topics.values() for name in (each.name, *each.names)}
    if wanted in names:
        return names[wanted]
    # Of words that are part of what was asked, the longest says most: 显存不足 over 不足.
    inside = [name for name in names if (name in wanted if len(name) > 2 or not name.isascii() else False)]
    near = [max(inside, key=len)] if inside else difflib.get_close_matches(wanted, names, 1, cutoff=0.6)
    choices = ", ".join(topics)
    if near:
        raise UserError(f"There is no topic {topic[:60]!r}.", f"Use {names[near[0]].name!r}; the topics are {choices}.")
    raise UserError(f"There is no topic {topic[:60]!r}.", f"Choose one of {choices}; put the rest into `context`.")


def _posterior(topic: Topic, context: str) -> dict[str, float]:
    odds = {cause: math.log(share) for cause, share in topic.shares.items()}
    for cue in load_cues():
        if cue.words.search(context[:MAX_CONTEXT]):
            for cause in odds.keys() & cue.adds.keys():
                odds[cause] += cue.adds[cause]
    highest = max(odds.values())
    weights = {cause: math.exp(each - highest) for cause, each in odds.items()}
    whole = sum(weights.values())
    return {cause: weight / whole for cause, weight in weights.items()}
