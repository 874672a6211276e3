"""Tests of the link to the camera host."""
