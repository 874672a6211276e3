"""Tests of the uploads."""
