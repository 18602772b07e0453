"""Tests of the utils."""
