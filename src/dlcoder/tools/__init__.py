"""One file per tool: its input, its output, and a thin handler that calls one domain package."""
