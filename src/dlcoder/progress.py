"""How long work tells its caller where it is."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with a short message and the fraction done, in [0, 1]. Cheap and never blocking: the face that shows it
(server or terminal) does the throttling, the monotonicity and the heartbeat."""


def silent(message: str, fraction: float) -> None:
    """Progress that nobody watches."""
