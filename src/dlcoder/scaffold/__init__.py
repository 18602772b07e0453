"""A ProjectSpec becomes a plan of files, which is staged, checked and moved into place."""
