"""Tests that travel with the components into the projects that use them."""
