"""What is rendered: components, which are real Python, and the parts of a project."""
