"""Tests of the shell, in a real Home Assistant."""
