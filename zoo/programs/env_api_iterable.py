# cause: env-api-removed
from collections import Iterable
def flatten(items):
    for item in items:
        yield from flatten(item) if isinstance(item, Iterable) else [item]
