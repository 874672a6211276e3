"""Skylapse: an unattended sky time-lapse station."""
