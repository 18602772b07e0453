"""Plans, run records, result tables and plots."""
