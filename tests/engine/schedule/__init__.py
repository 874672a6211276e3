"""Tests of when to photograph."""
