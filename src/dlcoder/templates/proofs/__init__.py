"""Programs that run in the sandbox what is no component of Python, and print what came of it for others to judge."""
