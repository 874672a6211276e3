"""Other machines, reached over SSH."""
