"""The one exception that is written for the caller to read."""


class UserError(Exception):
    """An anticipated failure: what was wrong, and what to do next.

    Domain packages raise it; the server turns it into a tool error and the command line into an exit status of 2.
    Anything else that escapes is a bug of dlcoder.

    Args:
        problem: What was wrong, with the offending value, as a full sentence.
        next_step: What the caller should do now, as a full sentence.
    """

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem, next_step)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem} {self.next_step}"
