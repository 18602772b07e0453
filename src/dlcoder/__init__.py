"""dlcoder: a deep-learning engineer in a coding agent's tool belt."""

__version__ = "0.1.0"
