"""Modules that a worker finds instead of the real ones."""
