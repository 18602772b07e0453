"""What builds the walls and watches over them: standard library only, Python 3.9 or newer, nothing of dlcoder.

It runs in three places: as the supervisor of a run (outside), as the warm worker, and as process 1 of the sandbox
(inside, in the user's interpreter), where the directory is a top-level package `jail`. Hence relative imports. What it
imports every cold run pays for, twice: no dataclasses, which bring `inspect` along.
"""
