"""Cameras with switches of their own."""
