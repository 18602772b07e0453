"""The catalogue: one component a file, real code that is imported and tested."""
