"""Failure causes, checks, checklists and priors: data files and their typed loader."""
