"""Tests of other machines."""
