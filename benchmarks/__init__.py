"""What has to be fast, measured against what a person would use instead (``scripts/bench NAME``)."""
