"""Recipes and configurations: everything that a run depends on."""
