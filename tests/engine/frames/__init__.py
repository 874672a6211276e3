"""Tests of frames: files, catalogue, retention."""
