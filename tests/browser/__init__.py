"""Tests that drive a real browser against a real Home Assistant, as a person would; run by ``scripts/test --browser``."""
